package sms

// NumberError is the error that ParseMSISDN returns. It never holds the whole number,
// so it may be logged.
type NumberError struct {
	// Reason is one of the constants ReasonEmpty to ReasonInvalid. Result files and counters use
	// this word.
	Reason NumberReason
	// Masked is the result of Mask for the input.
	Masked string
}

// Error returns the masked number and the mistake in the number. If the user can correct the
// mistake, the text also has the correction.
func (e *NumberError) Error() string { return e.Explain(e.Masked) }

// Explain returns the same text as Error, but with the parameter "number" in place of the masked
// number. Show the result only to the user that wrote the number, and never log it.
func (e *NumberError) Explain(number string) string {
	text, known := reasonTexts[e.Reason]
	if !known {
		text = string(e.Reason)
	}
	if number == "" {
		return "parse number: " + text
	}
	return "parse number " + number + ": " + text
}

// NumberReason is the reason why a string is not a mobile number. It is one lower-case
// word, such as "too_short".
type NumberReason string

// The reasons of a NumberError.
const (
	// ReasonEmpty means that the input is empty or has only separators.
	ReasonEmpty NumberReason = "empty"
	// ReasonLostDigits means that the input is in scientific notation, such as 2.54712E+11: a
	// spreadsheet has removed the last digits.
	ReasonLostDigits NumberReason = "lost_digits"
	// ReasonDecimal means that the input has a decimal point, like a price or a computed value
	// (0.712345678). One or two decimals are accepted only if they are zeros and follow
	// enough digits for a phone number.
	ReasonDecimal NumberReason = "decimal"
	// ReasonNegative means that the input is a negative amount: -712345424, 712345424- or
	// (712345424). A spreadsheet computes such an amount, for example from +254-712345678.
	ReasonNegative NumberReason = "negative"
	// ReasonSeveralNumbers means that the input holds two or more numbers. The short form
	// 0712345678/9 also counts as two numbers.
	ReasonSeveralNumbers NumberReason = "several_numbers"
	// ReasonNotANumber means that the input has letters, an extension or another
	// character that cannot be part of a number, or that it is a date.
	ReasonNotANumber NumberReason = "not_a_number"
	// ReasonTooShort means that the number has too few digits for its country.
	ReasonTooShort NumberReason = "too_short"
	// ReasonTooLong means that the number has too many digits for its country, or that
	// the input has more than 64 bytes.
	ReasonTooLong NumberReason = "too_long"
	// ReasonNotMobile means that the number is valid, but is a landline, a toll-free or
	// another special number.
	ReasonNotMobile NumberReason = "not_mobile"
	// ReasonUnknownCountry means that the country of the number is not known. There are four causes.
	// The calling code is unassigned. The default country is not a valid code. The number is in
	// national form, and no default country is given. The number is foreign and has no plus sign, and
	// a default country is given.
	ReasonUnknownCountry NumberReason = "unknown_country"
	// ReasonInvalid means that the number has a possible length, but is not in the
	// numbering plan of its country.
	ReasonInvalid NumberReason = "invalid"
)

// reasonTexts are the texts that Error returns for the reasons.
var reasonTexts = map[NumberReason]string{
	ReasonEmpty:          "it has no digits; write a phone number",
	ReasonLostDigits:     "a spreadsheet has rounded it and its last digits are lost; format the column as text, enter the number again and export",
	ReasonDecimal:        "it has a decimal point; format the column as text and export again",
	ReasonNegative:       "it is a negative amount that a spreadsheet has computed; format the column as text, enter the number again and export",
	ReasonSeveralNumbers: "it holds several numbers; write each number in a separate row",
	ReasonNotANumber:     "it has characters that cannot be part of one phone number; write digits only",
	ReasonTooShort:       "it has too few digits",
	ReasonTooLong:        "it has too many digits",
	ReasonNotMobile:      "it is not a mobile number, but a landline, toll-free or special number",
	ReasonUnknownCountry: "its country is not known; write it with + and the calling code, or set the default country",
	ReasonInvalid:        "it is not in the numbering plan of its country; check the digits",
}
