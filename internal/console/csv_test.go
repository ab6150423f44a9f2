package console

import "testing"

func TestEscapeFormulas_QuotesSpreadsheetFormulas(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                            "",
		"254712345678":                "254712345678",
		"+254712345678":               "+254712345678",
		"+254 (0) 712-345.678":        "+254 (0) 712-345.678",
		"-":                           "-",
		"call me":                     "call me",
		`=HYPERLINK("http://x","y")`:  `'=HYPERLINK("http://x","y")`,
		"=1+1":                        "'=1+1",
		"@SUM(A1)":                    "'@SUM(A1)",
		"+cmd|' /C calc'!A0":          "'+cmd|' /C calc'!A0",
		"-2+3+cmd":                    "'-2+3+cmd",
		"\t=1":                        "'\t'=1",
		"\tx":                         "'\tx",
		"x;=1+1":                      "x;'=1+1",
		"x\t@A1;;+SUM(1);-5;+254 712": "x\t'@A1;;'+SUM(1);-5;+254 712",
		"a; b; c":                     "a; b; c",
		"\r=1":                        "'\r=1",
		"\uFF1D1+1":                   "'\uFF1D1+1",
		"\uFF0B254712345678":          "\uFF0B254712345678",
		"\uFF0BSUM(1)":                "'\uFF0BSUM(1)",
		"24137cf8-eccc-469c-80af-109": "24137cf8-eccc-469c-80af-109",
	}
	for in, want := range tests {
		if got := EscapeFormulas(in); got != want {
			t.Errorf("EscapeFormulas(%q) = %q, want %q", in, got, want)
		}
	}
}
