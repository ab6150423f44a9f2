package sms_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

func TestParseMSISDN_Accepts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, country string
		want              sms.MSISDN
	}{
		{"Kenyan national", "0712345678", "KE", 254712345678},
		{"Kenyan national, newer range", "0110345678", "KE", 254110345678},
		{"Kenyan without its zero", "712345678", "KE", 254712345678},
		{"Kenyan calling code", "254712345678", "KE", 254712345678},
		{"Kenyan calling code, no default country", "254712345678", "", 254712345678},
		{"Kenyan calling code in a Nigerian list", "254712345678", "NG", 254712345678},
		{"Kenyan calling code in a British list", "254712345678", "GB", 254712345678},
		{"Kenyan with a plus in any list", "+254712345678", "US", 254712345678},
		{"plus does not need the default country", "+254712345678", "XX", 254712345678},
		{"double zero in a country that dials 000", "00254712345678", "KE", 254712345678},
		{"double zero in a country that dials 011", "00254712345678", "US", 254712345678},
		{"trunk zero after the calling code", "+254 (0)712 345 678", "", 254712345678},
		{"trunk zero after the calling code, no plus", "2540712345678", "KE", 254712345678},

		{"Nigerian national", "08031234567", "NG", 2348031234567},
		{"Nigerian 070 of eleven digits", "07031234567", "NG", 2347031234567},
		{"Kenyan 070 of ten digits", "0703123456", "KE", 254703123456},
		{"Nigerian 081 091", "09161234567", "NG", 2349161234567},
		{"Nigerian without its zero", "8031234567", "NG", 2348031234567},
		{"Nigerian calling code", "2348031234567", "NG", 2348031234567},
		{"Nigerian calling code in a Kenyan list", "2348031234567", "KE", 2348031234567},
		{"Nigerian with a plus", "+2349031234567", "", 2349031234567},
		{"Nigerian double zero", "002348031234567", "NG", 2348031234567},
		{"Nigerian range only the library knows as mobile", "07201234567", "NG", 2347201234567},

		{"Danish in pairs", "20-25-11-30", "DK", 4520251130},
		{"British national", "07911 123456", "GB", 447911123456},
		{"British in a Kenyan list", "+447911123456", "KE", 447911123456},
		{"British calling code", "447911123456", "GB", 447911123456},
		{"ten digits without a plus and without a default", "4551234567", "", 4551234567},
		{"American, where landline and mobile look alike", "(917) 555-0123", "US", 19175550123},
		{"American dialling abroad", "011254712345678", "US", 254712345678},
		{"leading zero that belongs to the number", "+225 07 07 12 34 56", "", 2250707123456},
		{"Tanzanian", "+255754123456", "KE", 255754123456},

		{"spaces and dashes", " +254 712-345-678 ", "", 254712345678},
		{"dots", "0712.345.678", "KE", 254712345678},
		{"trailing dot", "0712345678.", "KE", 254712345678},
		{"brackets", "(+254) [712] 345678", "", 254712345678},
		{"tabs and line ends", "\t0712345678\r\n", "KE", 254712345678},
		{"non-breaking spaces", "+254\u00a0712\u202f345\u2007678", "", 254712345678},
		{"zero-width and direction marks", "\ufeff\u202a+254\u200b712345678\u202c", "", 254712345678},
		{"dashes of every length", "0712\u2010345\u2013678\u2014", "KE", 254712345678},
		{"minus sign", "0712\u2212345\u2212678", "KE", 254712345678},
		{"full-width", "\uff0b\uff12\uff15\uff14\uff17\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "", 254712345678},
		{"Arabic digits", "+\u0662\u0665\u0664712345678", "", 254712345678},
		{"Devanagari digits", "\u0966\u096d\u0967\u0968345678", "KE", 254712345678},
		{"bold digits", "𝟬𝟳𝟭𝟮𝟑𝟒𝟓𝟔𝟕𝟖", "KE", 254712345678},

		{"a dash after the plus and calling code", "+254-712345678", "KE", 254712345678},
		{"a dash at the end of a number with its zero", "0712345678-", "KE", 254712345678},
		{"a dash at the end of a number with a plus", "+254712345678 -", "KE", 254712345678},
		{"brackets around a whole number with its zero", "(0712345678)", "KE", 254712345678},
		{"brackets around a whole number with a plus", "(+254712345678)", "KE", 254712345678},
		{"brackets around the calling code", "(254) 712345678", "KE", 254712345678},
		{"brackets around two parts", "(254)(712345678)", "KE", 254712345678},

		{"an apostrophe against spreadsheets", "'0712345678", "KE", 254712345678},
		{"a curly apostrophe", "’0712 345 678", "KE", 254712345678},
		{"quotes", ` "0712345678" `, "KE", 254712345678},
		{"a spreadsheet's formula for text", `="0712345678"`, "KE", 254712345678},
		{"a plus taken for a formula", "=+254712345678", "KE", 254712345678},
		{"a comma left over", "0712345678,", "KE", 254712345678},
		{"a semicolon left over", "0712345678; ", "KE", 254712345678},
		{"a spreadsheet's decimal", "254712345678.0", "KE", 254712345678},
		{"a spreadsheet's decimal without the zero in front", "712345678.00", "KE", 254712345678},
		{"a spreadsheet's decimal comma", "254712345678,0", "KE", 254712345678},
		{"a spreadsheet's decimal, of a number that would be German with one more digit", "+491711234567.0", "DE", 491711234567},
		{"thousands", "254,712,345,678", "KE", 254712345678},
		{"full stops", "254.712.345.678", "KE", 254712345678},
		{"one full stop behind the zero and the prefix", "0712.345678", "KE", 254712345678},
		{"one full stop behind a plus and the calling code", "+254.712345678", "KE", 254712345678},
		{"one full stop and spaces", "254.712 345 678", "KE", 254712345678},
		{"one comma behind the zero and the prefix", "0712,345678", "KE", 254712345678},
		{"a full stop left over", "0712345678.", "KE", 254712345678},
		{"thousands and decimals", "254,712,345,678.00", "KE", 254712345678},
		{"commas", "0712,345,678", "KE", 254712345678},
		{"slashes", "0712/345/678", "KE", 254712345678},
		{"a slash after the calling code", "254/712345678", "KE", 254712345678},
		{"a slash and a plus", "+254/712345678", "", 254712345678},
		{"dashes and the trunk zero", "254-0712-345-678", "KE", 254712345678},
		{"brackets around the trunk zero", "254(0)712345678", "KE", 254712345678},
		{"double zero and trunk zero", "00254 0712 345678", "KE", 254712345678},
		{"plus and double zero", "+00254712345678", "KE", 254712345678},
		{"a zero before the calling code", "0254712345678", "KE", 254712345678},
		{"a zero before the calling code, dashed", "0254-712-345-678", "NG", 254712345678},
		{"a zero before the calling code, and one after it", "0254 0712 345 678", "", 254712345678},
		{"a plus and a zero before the calling code", "+0254712345678", "GB", 254712345678},
		{"a zero before the Nigerian calling code", "02348031234567", "NG", 2348031234567},
		{"tel link", "tel:+254712345678", "KE", 254712345678},
		{"tel label", "Tel: 0712 345678", "KE", 254712345678},
		{"label of a lead export", "p:+254712345678", "KE", 254712345678},
		{"label in capitals, with a space", "Mobile: 0712345678", "KE", 254712345678},
		{"WhatsApp link", "https://wa.me/254712345678", "KE", 254712345678},
		{"WhatsApp link, short", "wa.me/447911123456", "KE", 447911123456},
		{"WhatsApp link with a plus", "http://wa.me/+254712345678", "", 254712345678},
		{"WhatsApp address", "whatsapp:+2348031234567", "", 2348031234567},
		{"Kenyan 010", "0100123456", "KE", 254100123456},
		{"Kenyan 011 dotted", "0110.345.678", "KE", 254110345678},
		{"Kenyan 0757", "(0757) 123-456", "KE", 254757123456},
		{"Nigerian 0701", "0701 234 5678", "NG", 2347012345678},
		{"Nigerian 0913", "0913-123-4567", "NG", 2349131234567},
		{"Nigerian with trunk zero", "+234 (0) 803 123 4567", "NG", 2348031234567},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sms.ParseMSISDN(tt.in, tt.country)
			if err != nil || got != tt.want {
				t.Errorf("ParseMSISDN(%q, %q) = %v, %v; want %v", tt.in, tt.country, got, err, tt.want)
			}
		})
	}
}

func TestParseMSISDN_Refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, country string
		want              sms.NumberReason
	}{
		{"nothing", "", "KE", sms.ReasonEmpty},
		{"blank", " \t\u00a0\u200b", "KE", sms.ReasonEmpty},
		{"a dash for nothing", "-", "KE", sms.ReasonEmpty},
		{"a plus alone", "+", "KE", sms.ReasonNotANumber},

		{"scientific", "2.54712E+11", "KE", sms.ReasonLostDigits},
		{"scientific, small e", "2.54712e11", "", sms.ReasonLostDigits},
		{"scientific, decimal comma", " 2,54712E+11 ", "KE", sms.ReasonLostDigits},
		{"scientific, whole", "254712E6", "KE", sms.ReasonLostDigits},

		{"negative", "-712345424", "KE", sms.ReasonNegative},
		{"negative, with the calling code", "-254712345424", "KE", sms.ReasonNegative},
		{"negative, Nigerian", "-8031234333", "NG", sms.ReasonNegative},
		{"negative, minus sign", "\u2212712345424", "KE", sms.ReasonNegative},
		{"negative, en dash", "\u2013712345424", "KE", sms.ReasonNegative},
		{"negative, full-width minus", "\uff0d712345424", "KE", sms.ReasonNegative},
		{"negative, grouped by a dash", "-712-345424", "KE", sms.ReasonNegative},
		{"negative, spaces", " - 712 345 424 ", "KE", sms.ReasonNegative},
		{"negative, zero", "-0712345678", "KE", sms.ReasonNegative},
		{"negative, plus before the minus", "+-254712345678", "KE", sms.ReasonNegative},
		{"negative, plus after the minus", "-+254712345678", "KE", sms.ReasonNegative},
		{"negative, in quotes", `"-712345424"`, "KE", sms.ReasonNegative},
		{"negative, formula", "=-712345424", "KE", sms.ReasonNegative},
		{"negative, thousands", "-712,345,424.00", "KE", sms.ReasonNegative},
		{"negative, behind a label", "tel:-712345424", "KE", sms.ReasonNegative},
		{"negative, minus at the end", "712345424-", "KE", sms.ReasonNegative},
		{"negative, minus sign at the end", "254712345424 \u2212", "KE", sms.ReasonNegative},
		{"negative, accounting", "(712345424)", "KE", sms.ReasonNegative},
		{"negative, accounting with the calling code", "(254712345424)", "", sms.ReasonNegative},
		{"negative, accounting with thousands", "(712,345,424)", "KE", sms.ReasonNegative},
		{"negative, accounting in full-width brackets", "\uff08712345424\uff09", "KE", sms.ReasonNegative},
		{"negative, minus in brackets", "(-712345424)", "KE", sms.ReasonNegative},
		{"negative, other digits", "-\u0967\u0968345678", "KE", sms.ReasonNegative},
		{"negative, small", "-5", "KE", sms.ReasonNegative},
		{"a word and a dash", "Amina-0712345678", "KE", sms.ReasonNotANumber},

		{"a fraction", "254712345678.5", "KE", sms.ReasonDecimal},
		{"a fraction with a comma", "254712345678,25", "KE", sms.ReasonDecimal},
		{"a price", "150.00", "KE", sms.ReasonDecimal},
		{"a lost decimal", "0.712345678", "KE", sms.ReasonDecimal},
		{"a lost decimal, Nigerian", "0.8031234567", "NG", sms.ReasonDecimal},
		{"a lost decimal with a comma", "0,712345678", "KE", sms.ReasonDecimal},
		{"a lost decimal without the zero in front", ".712345678", "KE", sms.ReasonDecimal},
		{"a lost decimal with a plus", "+0.712345678", "KE", sms.ReasonDecimal},
		{"a lost decimal in quotes", `"0.712345678"`, "KE", sms.ReasonDecimal},
		{"a lost decimal as a formula", "=0.712345678", "KE", sms.ReasonDecimal},
		{"a lost decimal in other digits", "\u0966.\u096d\u0967\u0968345678", "KE", sms.ReasonDecimal},
		{"a number divided by a billion", "254.712345678", "KE", sms.ReasonDecimal},
		{"a number divided by a thousand", "254712345.678", "KE", sms.ReasonDecimal},
		{"a number divided by a thousand, with a comma", "712345,678", "KE", sms.ReasonDecimal},
		{"a number divided by a thousand, with thousands", "254,712,345.678", "KE", sms.ReasonDecimal},
		{"three decimals that are zero", "254712345.000", "KE", sms.ReasonDecimal},
		{"scientific in quotes", "'2.54712E+11", "KE", sms.ReasonLostDigits},
		{"scientific with all digits", "2.54712345678E+11", "KE", sms.ReasonLostDigits},

		{"two numbers, slash", "0712345678/0722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, slash and spaces", "0712 345 678 / 0722 345 678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, comma", "0712345678, 0722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, semicolon", "0712345678;0722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, bar", "0712345678|0722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, ampersand", "+254712345678 & +254722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, word", "0712345678 or 0722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, two pluses", "+254712345678+254722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, space", "0712345678 0722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, spaces within", "0712 345 678 0722 345 678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, line end", "08031234567\n08051234567", "NG", sms.ReasonSeveralNumbers},
		{"two numbers, dash", "0712345678-0722345678", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, nothing between", "254712345678254722345678", "KE", sms.ReasonSeveralNumbers},
		{"two foreign numbers", "447911123456 447911123457", "GB", sms.ReasonSeveralNumbers},
		{"two numbers, the second by its last digit", "0712345678/9", "KE", sms.ReasonSeveralNumbers},
		{"two numbers, the second by its last digits", "+254712345678 / 79", "KE", sms.ReasonSeveralNumbers},
		{"three numbers", "0712345678,0722345678,0733345678", "KE", sms.ReasonSeveralNumbers},

		{"a date, which would be Danish", "2025-11-30", "DK", sms.ReasonNotANumber},
		{"a date of slashes", "30/11/2025", "DK", sms.ReasonNotANumber},
		{"a date of dots", "3.11.2025", "KE", sms.ReasonNotANumber},

		{"words", "John Otieno", "KE", sms.ReasonNotANumber},
		{"letters among digits", "07I2345678", "KE", sms.ReasonNotANumber},
		{"vanity number", "+1 800 FLOWERS", "US", sms.ReasonNotANumber},
		{"extension", "0712345678 ext 5", "KE", sms.ReasonNotANumber},
		{"extension x", "0712345678x5", "KE", sms.ReasonNotANumber},
		{"extension hash", "0712345678#5", "KE", sms.ReasonNotANumber},
		{"two pluses", "++254712345678", "KE", sms.ReasonNotANumber},
		{"a plus in the middle", "254+712345678", "KE", sms.ReasonNotANumber},
		{"almost a non-breaking space", "0712\u00a1345678", "KE", sms.ReasonNotANumber},
		{"star code", "*144#", "KE", sms.ReasonNotANumber},
		{"column too narrow", "########", "KE", sms.ReasonNotANumber},
		{"not UTF-8", "0712\xa0345678", "KE", sms.ReasonNotANumber},

		{"a digit short, Kenya", "071234567", "KE", sms.ReasonTooShort},
		{"a digit short, calling code", "25471234567", "KE", sms.ReasonTooShort},
		{"a digit short in the vendor's own sample", "25472256565", "KE", sms.ReasonTooShort},
		{"cut off after the calling code", "254712345", "KE", sms.ReasonTooShort},
		{"cut off after the calling code, by one", "2547123456", "KE", sms.ReasonTooShort},
		{"Kenyan, cut off, in a Nigerian list", "25471234567", "NG", sms.ReasonTooShort},
		{"Nigerian, cut off, in a Kenyan list", "23480312345", "KE", sms.ReasonTooShort},
		{"a zero before the calling code and a digit short", "025471234567", "KE", sms.ReasonTooLong},
		{"a digit short, Nigeria", "0803123456", "NG", sms.ReasonTooShort},
		{"much too short, Britain", "+44791112", "", sms.ReasonTooShort},
		{"short code", "22345", "KE", sms.ReasonTooShort},
		{"emergency", "999", "KE", sms.ReasonTooShort},
		{"one digit", "0", "KE", sms.ReasonTooShort},
		{"dialling prefix alone", "01112", "US", sms.ReasonTooShort},
		{"double zero alone", "00", "KE", sms.ReasonTooShort},
		{"a digit too many, Kenya", "07123456789", "KE", sms.ReasonTooLong},
		{"a digit too many, plus", "+2547123456789", "", sms.ReasonTooLong},
		{"a digit too many, Nigeria", "080312345678", "NG", sms.ReasonTooLong},
		{"more bytes than are parsed", strings.Repeat(" ", 60) + "0712345678", "KE", sms.ReasonTooLong},
		{"digits without end", strings.Repeat("7", 1<<20), "KE", sms.ReasonTooLong},

		{"Nigerian national in a Kenyan list", "08031234567", "KE", sms.ReasonTooLong},
		{"Kenyan national in a Nigerian list", "0712345678", "NG", sms.ReasonTooShort},
		{"Kenyan without its zero in a Nigerian list", "712345678", "NG", sms.ReasonTooShort},

		{"Kenyan landline", "0202345678", "KE", sms.ReasonNotMobile},
		{"Kenyan landline, bare", "202345678", "KE", sms.ReasonNotMobile},
		{"Kenyan toll free", "0800723456", "KE", sms.ReasonNotMobile},
		{"Kenyan premium rate", "0900223456", "KE", sms.ReasonNotMobile},
		{"Nigerian toll free", "08001234567", "NG", sms.ReasonNotMobile},
		{"Nigerian toll free, plus", "+2348001234567", "", sms.ReasonNotMobile},
		{"Kenyan landline, Mombasa", "041 2223456", "KE", sms.ReasonNotMobile},
		{"Nigerian landline", "02012345678", "NG", sms.ReasonNotMobile},
		{"Nigerian corporate number", "07001234567", "NG", sms.ReasonNotMobile},
		{"British landline", "+442079460000", "", sms.ReasonNotMobile},
		{"American toll free", "+18005550123", "", sms.ReasonNotMobile},

		{"British without a plus in a Kenyan list", "447911123456", "KE", sms.ReasonUnknownCountry},
		{"Kenyan with a digit left out, valid in Burundi", "25761788134", "KE", sms.ReasonUnknownCountry},
		{"Kenyan landline with a digit too many, valid in Denmark", "4551234567", "KE", sms.ReasonUnknownCountry},
		{"national without a country", "0712345678", "", sms.ReasonUnknownCountry},
		{"unknown default country", "0712345678", "XX", sms.ReasonUnknownCountry},
		{"default country in small letters", "0712345678", "ke", sms.ReasonUnknownCountry},
		{"world as default country", "0712345678", "001", sms.ReasonUnknownCountry},
		{"unassigned calling code", "+999712345678", "KE", sms.ReasonUnknownCountry},
		{"plus before a national number", "+0712345678", "KE", sms.ReasonUnknownCountry},
		{"three zeros", "000254712345678", "KE", sms.ReasonUnknownCountry},

		{"a length no British mobile number has", "+44791112345", "", sms.ReasonInvalid},
		{"no such Kenyan prefix", "0199345678", "KE", sms.ReasonInvalid},
		{"no such Nigerian prefix", "+2349991234567", "", sms.ReasonInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sms.ParseMSISDN(tt.in, tt.country)
			var numberErr *sms.NumberError
			if !errors.As(err, &numberErr) {
				t.Fatalf("ParseMSISDN(%q, %q) = %v, %v; want a *NumberError", tt.in, tt.country, got, err)
			}
			if got != 0 || numberErr.Reason != tt.want {
				t.Errorf("ParseMSISDN(%q, %q) = %v, %s; want 0, %s", tt.in, tt.country, got, numberErr.Reason, tt.want)
			}
		})
	}
}

func TestNumberError_HidesTheNumber(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  sms.NumberError
		want string
	}{
		{parseError("0712 345 6789"), "parse number 071****6789: it has too many digits"},
		{parseError("254712345678.5"),
			"parse number 2547****6785: it has a decimal point; format the column as text and export again"},
		{parseError("Jane, 14 Moi Avenue"),
			"parse number ****: it has characters that cannot be part of one phone number; write digits only"},
		{sms.NumberError{Reason: "other"}, "parse number: other"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("Error() = %q; want %q", got, tt.want)
		}
	}
}

func parseError(s string) sms.NumberError {
	_, err := sms.ParseMSISDN(s, "KE")
	numberErr, ok := errors.AsType[*sms.NumberError](err)
	if !ok {
		panic(fmt.Sprintf("ParseMSISDN(%q) : error %v; want a *NumberError", s, err))
	}
	return *numberErr
}

func TestNumberError_EveryReasonHasAText(t *testing.T) {
	t.Parallel()
	for _, reason := range []sms.NumberReason{
		sms.ReasonEmpty, sms.ReasonLostDigits, sms.ReasonDecimal, sms.ReasonSeveralNumbers, sms.ReasonNotANumber, sms.ReasonTooShort,
		sms.ReasonTooLong, sms.ReasonNotMobile, sms.ReasonUnknownCountry, sms.ReasonInvalid,
	} {
		if got := (&sms.NumberError{Reason: reason}).Error(); strings.HasSuffix(got, string(reason)) {
			t.Errorf("the reason %s has no text: the error is %q", reason, got)
		}
	}
}

func TestValidCountry(t *testing.T) {
	t.Parallel()
	for iso, want := range map[string]bool{"KE": true, "NG": true, "GB": true, "": false, "ke": false, "XX": false, "ZZ": false,
		"001": false, "KEN": false} {
		if got := sms.ValidCountry(iso); got != want {
			t.Errorf("ValidCountry(%q) = %v; want %v", iso, got, want)
		}
	}
}
