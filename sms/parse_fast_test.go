package sms

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// checkAgainstLibrary fails the test if parseFast or resolveNational decides s differently from the
// phonenumbers library. The result "fast" is true if parseFast decides s.
func checkAgainstLibrary(t *testing.T, s, country string) (fast bool) {
	t.Helper()
	c, problem := extractDigits(s)
	var slow MSISDN
	reason := problem
	if problem == "" {
		digits, plus := c.dialled(country)
		slow, reason = decideByLibrary(digits, plus, country)
		if m, why, decided := resolveNational(digits, plus, country); decided && (m != slow || why != reason) {
			t.Errorf("resolveNational(%q) in %q = %v %s; the library returns %v %s", s, country, m, why, slow, reason)
		}
	}
	m, ok := parseFast(s, country)
	if ok && (reason != "" || slow != m) {
		t.Errorf("parseFast(%q, %q) = %v; the library returns %v %s", s, country, m, slow, reason)
	}
	return ok
}

// TestParseMSISDN_FastPathAgreesOnEveryPrefix tries all prefixes of Kenya and Nigeria, including
// prefixes outside the numbering plans. One in eight of the prefixes that parseFast decides is
// tried in every form and with every kind of default country.
func TestParseMSISDN_FastPathAgreesOnEveryPrefix(t *testing.T) {
	t.Parallel()
	for _, plan := range []struct {
		iso, code    string
		digits, want int
	}{
		// The test tries all 10,000 prefixes of four digits. parseFast must decide as many of them as
		// the field "want" says.
		{kenya, "254", 9, 1000 + 270},
		{nigeria, "234", 10, 89 + 200 + 90 + 92 + 90 + 60},
	} {
		t.Run(plan.iso, func(t *testing.T) {
			t.Parallel()
			decided := 0
			for prefix := range 10_000 {
				for _, rest := range []string{"0", "9"} {
					national := fmt.Sprintf("%04d", prefix) + strings.Repeat(rest, plan.digits-4)
					if !checkAgainstLibrary(t, "0"+national, plan.iso) {
						break // parseFast does not decide numbers with this prefix, so the test skips the other digits
					}
					if rest == "9" {
						continue
					}
					if decided++; decided%8 > 0 {
						continue // only one in eight prefixes is tried in every form
					}
					for _, country := range []string{kenya, nigeria, "", "DE"} {
						for _, form := range []string{"", plan.code, "+" + plan.code, "00" + plan.code} {
							checkAgainstLibrary(t, form+national, country)
						}
					}
				}
			}
			if decided != plan.want {
				t.Errorf("parseFast decides %d prefixes; want %d", decided, plan.want)
			}
		})
	}
}

// TestParseMSISDN_HomeAgreesOnEveryPrefixOfEveryLength tries the numbers that resolveNational
// rejects without the library: numbers that are too short or too long, landlines and special
// numbers.
func TestParseMSISDN_HomeAgreesOnEveryPrefixOfEveryLength(t *testing.T) {
	t.Parallel()
	for _, country := range []string{kenya, nigeria} {
		t.Run(country, func(t *testing.T) {
			t.Parallel()
			undecided := 0
			prefixes := []string{"8001", "8002", "8009", "7001", "9000", "9001", "9009"}
			for prefix := range 100 {
				prefixes = append(prefixes, fmt.Sprintf("%02d12", prefix))
			}
			for _, prefix := range prefixes {
				for _, n := range []int{2, 3, 5, 6, 7, 8, 9, 10, 11, 14} {
					digits := (prefix + "3456789012")[:n]
					checkAgainstLibrary(t, digits, country)
					checkAgainstLibrary(t, "0"+digits, country)
					checkAgainstLibrary(t, "+"+CallingCode(country)+digits, country)
					if _, _, decided := resolveNational("0"+digits, false, country); !decided {
						undecided++
					}
				}
			}
			// Numbers with two leading zeros and Nigerian landlines are left to the phonenumbers
			// library.
			if most := 10*10 + 1; undecided > most {
				t.Errorf("resolveNational leaves %d numbers to the library; want at most %d", undecided, most)
			}
		})
	}
}

// Short codes, prices and house numbers are too short to be mobile numbers in any country.
func TestParseMSISDN_HomeAgreesOnTooShortNumbers(t *testing.T) {
	t.Parallel()
	for n := 1; n < minForeignDigits; n++ {
		// The step is odd, so that the last digits vary.
		for i, step := 0, max(1, int(math.Pow10(n))/2000)|1; i < int(math.Pow10(n)); i += step {
			digits := fmt.Sprintf("%0*d", n, i)
			checkAgainstLibrary(t, digits, kenya)
			checkAgainstLibrary(t, digits, nigeria)
			if m, reason := decideByLibrary(digits, true, ""); reason == "" {
				t.Errorf("decideByLibrary(%q) = %v; want an error", digits, m)
			}
		}
	}
	if _, reason := decideByLibrary("6907290", true, ""); reason != "" {
		t.Errorf("decideByLibrary rejects a mobile number of Tokelau: %s; want it accepted", reason)
	}
}

func TestParseMSISDN_NumbersOfNoCountry(t *testing.T) {
	t.Parallel()
	unassigned := 0
	for code := range 1000 {
		for _, rest := range []string{"", "1", "712345678"} {
			digits := fmt.Sprintf("%d%s", code, rest)
			checkAgainstLibrary(t, "+"+digits, kenya)
			checkAgainstLibrary(t, digits, "")
		}
		if isUnassigned(fmt.Sprintf("%03d712345678", code)) {
			unassigned++
		}
	}
	if unassigned < 150 || unassigned > 300 {
		t.Errorf("%d of 1000 prefixes are unassigned; want 150 to 300", unassigned)
	}
}

// TestParseMSISDN_FastPathAgreesOnEveryLength tries numbers with missing digits, extra digits and
// extra zeros.
func TestParseMSISDN_FastPathAgreesOnEveryLength(t *testing.T) {
	t.Parallel()
	for _, digits := range []string{"712345678901234567890123", "803123456789012345678901", "110345678901234567890123"} {
		for n := range len(digits) {
			for _, lead := range []string{"", "0", "00", "000", "254", "0254", "00254", "2540", "234", "0234", "00234", "000234", "2340"} {
				for _, country := range []string{kenya, nigeria, "", "US"} {
					checkAgainstLibrary(t, lead+digits[:n], country)
					checkAgainstLibrary(t, "+"+lead+digits[:n], country)
				}
			}
		}
	}
}

func TestParseMSISDN_FastPathDecidesTheUsualForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ s, country string }{
		{"0712345678", kenya},
		{"0712 345 678", kenya},
		{"0712-345-678", kenya},
		{"(0712) 345678", kenya},
		{"712345678", kenya},
		{"0110345678", kenya},
		{"254712345678", kenya},
		{"254712345678", ""},
		{"254712345678", nigeria},
		{"+254 712 345 678", "GB"},
		{"+254\u00a0712\u00a0345\u00a0678", kenya},
		{"00254712345678", "GB"},
		{"08031234567", nigeria},
		{"8031234567", nigeria},
		{"2348031234567", kenya},
		{"+234 803 123 4567", ""},
		{"002348031234567", nigeria},
	} {
		if !checkAgainstLibrary(t, tt.s, tt.country) {
			t.Errorf("parseFast(%q, %q) does not decide the number", tt.s, tt.country)
		}
	}
}

// This test does not run in parallel, because testing.AllocsPerRun counts the allocations of the
// whole program.
func TestParseMSISDN_FastPathDoesNotAllocate(t *testing.T) {
	for _, s := range []string{"0712345678", "+254 712-345-678", "2348031234567"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = ParseMSISDN(s, kenya) }); n != 0 {
			t.Errorf("ParseMSISDN(%q) allocates %v times; want 0", s, n)
		}
	}
}

func FuzzParseMSISDN(f *testing.F) {
	for _, s := range []string{
		"0712345678", "712345678", "254712345678", "+254 712 345 678", "00254712345678", "2540712345678", "+254\u00a0712-345-678",
		"08031234567", "8031234567", "2348031234567", "+234 (803) 123 4567", "002348031234567", "07023123456", "08001234567",
		"2.54712E+11", "254712345678.0", "0712345678 ext 5", "\u200b0712345678", "+447911123456", "", "+", "0-0-2-5-4-712345678",
		"'0712345678", "254712345678.00", "254,712,345,678", "0712345678/9", "0712345678 0722345678", "0254712345678", "+00254712345678",
		".251700100000", "wa.me/254712345678", "tel:0712345678", "25471234", "2544123456", "0202345678", "0800200000", "07001234567", "02012345678", "71234567890",
	} {
		for _, country := range []string{kenya, nigeria, "", "GB", "XX"} {
			f.Add(s, country)
		}
	}
	f.Fuzz(func(t *testing.T, s, country string) {
		checkAgainstLibrary(t, s, country)
		if negative, err := ParseMSISDN("-"+s, country); err == nil {
			t.Errorf("ParseMSISDN(%q, %q) = %v; want an error for a negative amount", "-"+s, country, negative)
		}
		m, err := ParseMSISDN(s, country)
		if err != nil {
			if whole := onlyDigits(s); len(whole) > 8 && strings.Contains(onlyDigits(err.Error()), whole) {
				t.Errorf("ParseMSISDN(%q, %q): the error %q contains the whole number", s, country, err)
			}
			return
		}
		if again, err := ParseMSISDN(m.E164(), country); err != nil || again != m {
			t.Errorf("ParseMSISDN(%q, %q) = %v, but parsing its E.164 form returns %v, %v", s, country, m, again, err)
		}
	})
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// BenchmarkParseMSISDN measures ParseMSISDN; compare it with BenchmarkParseMSISDNByLibrary.
// The goal of the fast path is at least 3,000,000 numbers per second on one core.
func BenchmarkParseMSISDN(b *testing.B) {
	for _, bm := range []struct{ name, s string }{
		{"fast/national", "0712345678"},
		{"fast/digits", "254712345678"},
		{"fast/separators", "+254 712-345-678"},
		{"fast/nigeria", "2348031234567"},
		{"clean/dots", "0712.345.678"},
		{"clean/apostrophe", "'0712345678"},
		{"refused/short", "07123456"},
		{"refused/landline", "0202345678"},
		{"refused/scientific", "2.54712E+11"},
		{"refused/several", "0712345678/0722345678"},
		{"library/foreign", "+447911123456"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseMSISDN(bm.s, kenya)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "numbers/s")
		})
	}
}

func BenchmarkParseMSISDNByLibrary(b *testing.B) {
	for _, s := range []string{"0712345678", "254712345678", "2348031234567", "07123456"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = decideByLibrary(s, false, kenya)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "numbers/s")
		})
	}
}
