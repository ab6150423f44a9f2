// Package dirtylist writes recipient lists with the mistakes of real lists. It also returns the expected result
// of every row. It is for tests and benchmarks.
package dirtylist

import (
	"bufio"
	"fmt"
	"io"
)

// Row is one recipient of a list.
type Row struct {
	// Text is the row as CSV, with its line end.
	Text string
	// Number is the number field as a CSV reader returns it.
	Number string
	// MSISDN is the parsed number. It is 0 if the number is not valid.
	MSISDN uint64
	// Reason is the reason why the row is skipped. It is empty if the row is not skipped. Code is the reason why
	// the row's number is invalid.
	Reason, Code string
}

// Header is the first line of a list.
const Header = "\xef\xbb\xbfName;Phone;Town\r\n"

// Country is the country of the numbers in national format.
const Country = "KE"

// These are the values of Row.Reason. Tuma writes the same reasons in results.
const (
	invalid   = "invalid_number"
	duplicate = "duplicate"
)

// Write writes a list of n recipients as CSV. Every tenth row is dirty. The dirty rows have the mistakes in
// dirtyRows, in turn. Write returns the first error of the writer.
func Write(to io.Writer, n int) error {
	w := bufio.NewWriter(to)
	if _, err := w.WriteString(Header); err != nil {
		return err
	}
	for i := range n {
		if _, err := w.WriteString(At(i).Text); err != nil {
			return err
		}
	}
	return w.Flush()
}

// At returns row i, counted from 0. In a list of up to 30 million rows, a number appears twice only in rows that
// repeat a number on purpose.
func At(i int) Row {
	if i%10 != 9 {
		n := subscriber(i)
		return Row{Text: fmt.Sprintf("Customer %d;0%d;Nairobi\n", i, n), Number: fmt.Sprintf("0%d", n), MSISDN: kenya + n}
	}
	return dirtyRows[i/10%len(dirtyRows)](i)
}

const (
	kenya   = 254_000_000_000
	nigeria = 2_340_000_000_000
)

// The function "subscriber" returns a Kenyan mobile number without the calling code.
func subscriber(i int) uint64 {
	// The step is coprime to the range, so the numbers differ.
	return 710_000_000 + uint64(i)*7919%30_000_000
}

// The function "valid" returns rows with a valid Kenyan number. The parameter "format" gets the nine digits after the
// calling code in groups of three, as %[1]d to %[3]d.
func valid(format string) func(int) Row {
	return func(i int) Row {
		n := subscriber(i)
		number := fmt.Sprintf(format, n/1e6, n/1e3%1e3, n%1e3)
		return Row{Text: fmt.Sprintf("Wanjirũ %d;%s;Kisumu\n", i, number), Number: number, MSISDN: kenya + n}
	}
}

// The function "nigerian" is like the function "valid", but returns rows with a Nigerian number. The parameter
// "format" gets groups of three, three and four digits.
func nigerian(format string) func(int) Row {
	return func(i int) Row {
		n := uint64(i) * 7919 % 10_000_000
		number := fmt.Sprintf(format, 803, n/1e4, n%1e4)
		return Row{Text: fmt.Sprintf("Fọlákẹ́ %d;%s;Èkó\n", i, number), Number: number, MSISDN: nigeria + 803*1e7 + n}
	}
}

// invalidNumber returns rows with an invalid number. The parameter "code" is the expected code, which is the
// reason why the number is invalid.
func invalidNumber(number, code string) func(int) Row {
	return func(i int) Row {
		return Row{Text: fmt.Sprintf("Unknown %d;%s;\n", i, number), Number: number, Reason: invalid, Code: code}
	}
}

// The function "repeated" returns rows that repeat an earlier number in another format.
func repeated(format string) func(int) Row {
	return func(i int) Row {
		r := valid(format)(i - 5)
		r.Reason = duplicate
		return r
	}
}

// oddLayout returns rows with a valid number and unusual CSV around it. The parameter "format" gets the row's
// index as %[1]d and the number as %[2]s.
func oddLayout(format string) func(int) Row {
	return func(i int) Row {
		r := valid("0%[1]d%03[2]d%03[3]d")(i)
		r.Text = fmt.Sprintf(format, i, r.Number)
		return r
	}
}

// dirtyRows are the kinds of dirty rows.
var dirtyRows = []func(int) Row{
	valid(" 0%d %03d %03d "), valid("+254%d%03d%03d"), valid("+254 %d-%03d-%03d"), valid("00254%d%03d%03d"), valid("(+254) %d%03d%03d"),
	valid("+254 (0)%d %03d %03d"), valid("0%d\u00a0%03d\u00a0%03d"), valid("%d%03d%03d"), valid("\u202a+254%d%03d%03d\u202c"),
	valid("0%d.%03d.%03d"), valid("254%d%03d%03d.0"), valid("tel:+254%d%03d%03d"), valid("+254 0%d%03d%03d"), valid("0%d–%03d–%03d"), valid("\ufeff0%d%03d%03d"),
	nigerian("+234 %d %03d %04d"), nigerian("234%d%03d%04d"), nigerian("234 (0)%d %03d %04d"), nigerian("+234-%d-%03d-%04d"),
	invalidNumber("", "empty"), invalidNumber("-", "empty"), invalidNumber("n/a", "not_a_number"), invalidNumber("call after 5", "not_a_number"), invalidNumber("#N/A", "not_a_number"),
	invalidNumber("2.54712E+11", "lost_digits"), invalidNumber("07l2345678", "not_a_number"), invalidNumber("0712 34567", "too_short"), invalidNumber("20400", "too_short"),
	invalidNumber("07123456789", "too_long"), invalidNumber("+254 20 271 2345", "not_mobile"), invalidNumber("0800 720 720", "not_mobile"),
	invalidNumber("0712345678 / 0722345678", "several_numbers"), invalidNumber("+999 712 345 678", "unknown_country"), invalidNumber("+44 20 7946 0018", "not_mobile"),
	invalidNumber("=1+1", "not_a_number"),
	repeated("+254%d%03d%03d"), repeated("0%d-%03d-%03d"), repeated("%d%03d%03d"),
	oddLayout("\"Doe; \"\"J\"\" %d\nsecond line\";%s;Thika\n"), oddLayout("\r\n;;\r\n\"Quoted %d\";\"%s\";\"\"\r\n"), oddLayout("Wide %d;%s;;;;\n"),
	oddLayout("Short %d;%s\r\n"), oddLayout(" ;;\n   \nBelow blanks %d;%s;\n"),
	func(i int) Row {
		return Row{Text: fmt.Sprintf("Cut off %d\n", i), Reason: invalid, Code: "empty"}
	},
}
