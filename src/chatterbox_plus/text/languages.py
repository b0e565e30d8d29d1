"""Language tags: "pt-BR", "pt_br" and "PT-br" are one."""


def base(language: str) -> str:
    """The language without its region: "pt-BR" -> "pt"."""
    return language.replace("_", "-").partition("-")[0].lower()
