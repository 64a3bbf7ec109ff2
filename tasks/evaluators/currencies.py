"""Currencies: their codes in ISO 4217, and how else some of them are written."""

from __future__ import annotations

import re

CODES = tuple(
    re.findall(
        "[A-Z]{3}",
        """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN
    BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD
    FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY
    KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
    RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW
    ZWG
    """,
    )
)
"""Currencies in use. They are meant in capitals alone, since some are words too."""

_WRITTEN = {
    "USD": "US$ $ dollar dollars buck bucks",
    "AUD": "AU$ A$",
    "CAD": "CA$ C$",
    "HKD": "HK$ 元",
    "NZD": "NZ$",
    "SGD": "S$",
    "TWD": "NT$ 元",
    "BRL": "R$ reais",
    "EUR": "€ euro euros",
    "GBP": "£ pound pounds sterling quid",
    "JPY": "¥ 円 yen",
    "CNY": "元 ¥ yuan renminbi rmb",
    "INR": "₹ rupee rupees rs",
    "KRW": "₩ 원 won",
    "ILS": "₪ shekel shekels",
    "TRY": "₺ lira liras",
    "VND": "₫ dong",
    "THB": "฿ baht",
    "CHF": "franc francs fr",
    "PLN": "zł zloty zlotys",
    "CZK": "kč koruna korun",
    "HUF": "ft forint forints",
    "ZAR": "rand",
    "RUB": "₽ ruble rubles rouble roubles",
    "IDR": "rp rupiah",
    "MYR": "rm ringgit",
    "UAH": "₴ hryvnia",
    "RON": "leu lei",
    "SEK": "kr krona kronor",
    "NOK": "kr krone kroner",
    "DKK": "kr krone kroner",
    "ISK": "kr króna krónur",
    "MXN": "peso pesos",
    "PHP": "₱ peso pesos",
    "no money of a state": "₿ btc bitcoin bitcoins eth ether",
}
"""Other writings of some; one that several share stands for any of them."""

MEANS: dict[str, set[str]] = {code: {code} for code in CODES}
"""The currencies that a code, or another writing in lower case, can stand for."""
for _code, _words in _WRITTEN.items():
    for _word in _words.split():
        MEANS.setdefault(_word.casefold(), set()).add(_code)
