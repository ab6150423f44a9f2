package sms

// NumberError says why ParseMSISDN has not taken a number. It never holds the
// whole number.
type NumberError struct {
	// Reason is one of the words below, for counting and for result files.
	Reason NumberReason
	// Masked is the input as Mask shows it.
	Masked string
}

// Error says what is wrong with the number and, where the user can do
// something about it, what.
func (e *NumberError) Error() string {
	text, known := reasonTexts[e.Reason]
	if !known {
		text = string(e.Reason)
	}
	if e.Masked == "" {
		return "parse number: " + text
	}
	return "parse number " + e.Masked + ": " + text
}

// NumberReason is why a string is not the number of a mobile phone, as one
// lower-case word.
type NumberReason string

// The reasons.
const (
	// ReasonEmpty: there is no digit and nothing else but separators.
	ReasonEmpty NumberReason = "empty"
	// ReasonLostDigits: scientific notation; the last digits are gone.
	ReasonLostDigits NumberReason = "lost_digits"
	// ReasonDecimal: a decimal point with one or two digits behind it that are not zero.
	ReasonDecimal NumberReason = "decimal"
	// ReasonSeveralNumbers: two numbers or more, or 0712345678/9 for two.
	ReasonSeveralNumbers NumberReason = "several_numbers"
	// ReasonNotANumber: letters, an extension, a stray sign.
	ReasonNotANumber NumberReason = "not_a_number"
	// ReasonTooShort: too few digits for its country.
	ReasonTooShort NumberReason = "too_short"
	// ReasonTooLong: too many digits for its country, or for any.
	ReasonTooLong NumberReason = "too_long"
	// ReasonNotMobile: a good number, but a landline, toll-free or otherwise special.
	ReasonNotMobile NumberReason = "not_mobile"
	// ReasonUnknownCountry: no country has that calling code, the default
	// country is none, a number in national form came without one, or a foreign
	// number without its plus sign came with one.
	ReasonUnknownCountry NumberReason = "unknown_country"
	// ReasonInvalid: a possible length, but not in its country's numbering plan.
	ReasonInvalid NumberReason = "invalid"
)

var reasonTexts = map[NumberReason]string{
	ReasonEmpty:          "there is no number",
	ReasonLostDigits:     "a spreadsheet has shortened it and its last digits are lost; format the column as text and export again",
	ReasonDecimal:        "it has a decimal point; format the column as text and export again",
	ReasonSeveralNumbers: "there are several numbers; give each a row of its own",
	ReasonNotANumber:     "it contains something that is not part of one phone number",
	ReasonTooShort:       "it has too few digits",
	ReasonTooLong:        "it has too many digits",
	ReasonNotMobile:      "it is not a mobile number",
	ReasonUnknownCountry: "its country is not known; write it with + and the calling code, or set the default country",
	ReasonInvalid:        "it is not in its country's numbering plan",
}
