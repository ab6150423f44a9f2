package xlsx

import "testing"

func TestDates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		number, code, want string
		since1904          bool
	}{
		{"45991", "dd/mm/yyyy", "2025-11-30", false},
		{"45991.5", "dd/mm/yyyy hh:mm", "2025-11-30 12:00", false},
		{"0.75", "h:mm AM/PM", "18:00", false},
		{"1", "d", "1900-01-01", false},
		{"60", "d", "1900-02-28", false},
		{"61", "d", "1900-03-01", false},
		{"44529", "yyyy", "2025-11-30", true},
		{"45991", "mmm-yy", "2025-11-30", false},
		{"0.5", "mm:ss", "12:00", false},
	} {
		b := &Book{since1904: tt.since1904}
		if got, ok := b.date(tt.number, parseFormatCode(tt.code)); !ok || got != tt.want {
			t.Errorf("number %s in format %s = %q, %v; want %q", tt.number, tt.code, got, ok, tt.want)
		}
	}
	for _, code := range []string{"0", "0.00", "General", `"dmy"0`, "[Red]0", `\d0`, "#,##0.00 [$KES-409]", "0%", "@", "_d0"} {
		if parseFormatCode(code) != 0 {
			t.Errorf("parseFormatCode(%q) finds a date; want none", code)
		}
	}
}

func TestShownNumbers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"254712345678": "254712345678", "2.54712345678E11": "254712345678", "2.547123456E+11": "254712345600", "254712345678.0": "254712345678",
		"19.989999999999998": "19.99", "-1.5": "-1.5", "1E400": "1E400", "0712345678": "0712345678", "": "", "NaN": "NaN", "1e-7": "0.0000001",
	} {
		if got := formatNumber(in); got != want {
			t.Errorf("formatNumber(%q) = %q; want %q", in, got, want)
		}
	}
}
