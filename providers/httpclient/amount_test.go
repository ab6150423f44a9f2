package httpclient

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestParseAmount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"0": 0, "1234": 1234, "12.50": 12.5, " 12.50\r\n": 12.5, "-3.25": -3.25, "0.0079": 0.0079, ".5": 0.5, "5.": 5, "007": 7,
		"1785.50": 1785.5, "999999999999": 999999999999, "1,234.50": 1234.5, "-1,785": -1785, "12,345,678": 12345678, "999,999.5": 999999.5,
	} {
		if got, ok := ParseAmount(text); !ok || got != want {
			t.Errorf("%q: got %v %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", " ", "-", ".", "-.", "--1", "1-", "1-2", "+1", "1.2.3", "1 234", "1,23", "12,3456", ",5", "1,", "1,234,", "1,,234", ",234", "0,123", "1234,567", "1,234,56",
		"1,234.", "1,234.5,6", "1.234,50", "-,234", "1,-234", "1,78,500", "1e5", "1E5", "0x10", "0b1", "1_000", "inf", "Inf", "NaN", "infinity",
		"KES 5", "5 KES", "€5", "٥", "１", "1\x00", `"1"`, strings.Repeat("9", 400),
	} {
		if got, ok := ParseAmount(text); ok || got != 0 {
			t.Errorf("%q: got %v, want 0 and false", text, got)
		}
	}
}

func TestParseMoney(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"KES 0.8000": {"0.8000", "KES"}, "KES0.8000": {"0.8000", "KES"}, "USD 0.0079": {"0.0079", "USD"}, "0": {"0", ""}, " NGN 2.20\n": {"2.20", "NGN"},
		"KES -5": {"-5", "KES"}, "-5.5": {"-5.5", ""}, "KES 1785.50": {"1785.50", "KES"}, "KES 1,785.50": {"1785.50", "KES"},
		"1,234.50": {"1234.50", ""}, "KES-12,345": {"-12345", "KES"}, "007": {"007", ""},
		"KES 999999999999999.123456789012345": {"999999999999999.123456789012345", "KES"},
	} {
		amount, currency, ok := ParseMoney(text)
		if !ok || amount != want[0] || currency != want[1] {
			t.Errorf("%q: got %q %q %v, want %q", text, amount, currency, ok, want)
		}
		if value, ok := ParseAmount(amount); !ok || math.IsInf(value, 0) {
			t.Errorf("ParseMoney returned %q, which ParseAmount does not read as a finite number", amount)
		}
	}
	for _, text := range []string{
		"", " ", "KES", "KES ", "kes 5", "KE 5", "KESX 5", "KES  5", "KES\t5", "5 KES", "KES 5 ,", "KES 1,23", "KES 12,3456", "KES ,5", "KES 1,785.", "1,KES 785", "KES 1,785,", "KES .5", "KES 5.", "KES YY", "KES 1e5",
		"KES --5", "KES +5", "K€S 5", "KES 5\nKES 6", "None", "1234567890123456", "1.1234567890123456", "KES 1 2", "٥",
	} {
		if amount, currency, ok := ParseMoney(text); ok || amount != "" || currency != "" {
			t.Errorf("%q: got %q %q, want nothing and false", text, amount, currency)
		}
	}
}

func FuzzParseMoney(f *testing.F) {
	for _, seed := range []string{"KES 0.8000", "0", "USD -5", "KES 1,785.50", "KES 1,23", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, currency, ok := ParseMoney(text)
		if !ok {
			return
		}
		if _, isAmount := ParseAmount(amount); !isAmount || len(amount) > 32 || currency != "" && currency != strings.ToUpper(currency) {
			t.Fatalf("%q: got amount %q and currency %q, want a valid amount and a currency in upper case", text, amount, currency)
		}
		if trimmed := strings.ReplaceAll(strings.TrimSpace(text), ",", ""); trimmed != amount && trimmed != currency+amount && trimmed != currency+" "+amount {
			t.Fatalf("%q: got amount %q and currency %q, want the parts of the text", text, amount, currency)
		}
	})
}

func ExampleParseMoney() {
	amount, currency, ok := ParseMoney("KES 0.8000")
	fmt.Println(amount, currency, ok)
	amount, currency, ok = ParseMoney("KES 1,785.50")
	fmt.Println(amount, currency, ok)
	_, _, ok = ParseMoney("KES 1,78")
	fmt.Println(ok)
	// Output:
	// 0.8000 KES true
	// 1785.50 KES true
	// false
}
