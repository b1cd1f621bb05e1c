// Nothing to call: see LanguageData.S.
