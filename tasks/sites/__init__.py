"""Sites that tasks bring with them, served on this machine, one instance an episode."""

from webdojo.tasks.sites.episode import SiteEpisode, SiteStateError
from webdojo.tasks.sites.site import Site, share_site

__all__ = ["Site", "SiteEpisode", "SiteStateError", "share_site"]
