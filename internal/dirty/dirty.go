// Package dirty writes recipient lists with the mistakes of real lists, and gives the expected result of every
// row. It is for tests and benchmarks.
package dirty

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
	// MSISDN is the parsed number; 0 if it is not valid.
	MSISDN uint64
	// Reason is why the row is skipped; empty if it is not skipped. Code is why its number is invalid.
	Reason, Code string
}

// Header is the first line of a list.
const Header = "\xef\xbb\xbfName;Phone;Town\r\n"

// Country is the country of the numbers in national format.
const Country = "KE"

// The reasons, as in results.
const (
	invalid   = "invalid_number"
	duplicate = "duplicate"
)

// Write writes a list of n recipients. Nine of ten rows are clean. The others have the mistakes of the table
// ways, in turn.
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

// At returns row i, counted from 0. In a list of up to 30 million rows, no number appears twice except in the rows
// that repeat a number on purpose.
func At(i int) Row {
	if i%10 != 9 {
		n := subscriber(i)
		return Row{Text: fmt.Sprintf("Customer %d;0%d;Nairobi\n", i, n), Number: fmt.Sprintf("0%d", n), MSISDN: kenya + n}
	}
	return ways[i/10%len(ways)](i)
}

const (
	kenya   = 254_000_000_000
	nigeria = 2_340_000_000_000
)

// subscriber returns a Kenyan mobile number without the calling code.
func subscriber(i int) uint64 {
	// The step is coprime to the range, so no number repeats.
	return 710_000_000 + uint64(i)*7919%30_000_000
}

// as returns rows with a valid Kenyan number. format gets its first, second and third three digits as %[1]d to %[3]d.
func as(format string) func(int) Row {
	return func(i int) Row {
		n := subscriber(i)
		number := fmt.Sprintf(format, n/1e6, n/1e3%1e3, n%1e3)
		return Row{Text: fmt.Sprintf("Wanjirũ %d;%s;Kisumu\n", i, number), Number: number, MSISDN: kenya + n}
	}
}

// nigerian is as for a Nigerian number. format gets three, three and four digits.
func nigerian(format string) func(int) Row {
	return func(i int) Row {
		n := uint64(i) * 7919 % 10_000_000
		number := fmt.Sprintf(format, 803, n/1e4, n%1e4)
		return Row{Text: fmt.Sprintf("Fọlákẹ́ %d;%s;Èkó\n", i, number), Number: number, MSISDN: nigeria + 803*1e7 + n}
	}
}

// none returns rows with an invalid number. code is the reason.
func none(number, code string) func(int) Row {
	return func(i int) Row {
		return Row{Text: fmt.Sprintf("Unknown %d;%s;\n", i, number), Number: number, Reason: invalid, Code: code}
	}
}

// again returns rows that repeat an earlier number in another format.
func again(format string) func(int) Row {
	return func(i int) Row {
		r := as(format)(i - 5)
		r.Reason = duplicate
		return r
	}
}

// framed returns rows with a valid number and unusual CSV around it. format gets the row's index as %[1]d and the
// number as %[2]s.
func framed(format string) func(int) Row {
	return func(i int) Row {
		r := as("0%[1]d%03[2]d%03[3]d")(i)
		r.Text = fmt.Sprintf(format, i, r.Number)
		return r
	}
}

// ways are the kinds of dirty rows.
var ways = []func(int) Row{
	as(" 0%d %03d %03d "), as("+254%d%03d%03d"), as("+254 %d-%03d-%03d"), as("00254%d%03d%03d"), as("(+254) %d%03d%03d"),
	as("+254 (0)%d %03d %03d"), as("0%d\u00a0%03d\u00a0%03d"), as("%d%03d%03d"), as("\u202a+254%d%03d%03d\u202c"),
	as("0%d.%03d.%03d"), as("254%d%03d%03d.0"), as("tel:+254%d%03d%03d"), as("+254 0%d%03d%03d"), as("0%d–%03d–%03d"), as("\ufeff0%d%03d%03d"),
	nigerian("+234 %d %03d %04d"), nigerian("234%d%03d%04d"), nigerian("234 (0)%d %03d %04d"), nigerian("+234-%d-%03d-%04d"),
	none("", "empty"), none("-", "empty"), none("n/a", "not_a_number"), none("call after 5", "not_a_number"), none("#N/A", "not_a_number"),
	none("2.54712E+11", "lost_digits"), none("07l2345678", "not_a_number"), none("0712 34567", "too_short"), none("20400", "too_short"),
	none("07123456789", "too_long"), none("+254 20 271 2345", "not_mobile"), none("0800 720 720", "not_mobile"),
	none("0712345678 / 0722345678", "several_numbers"), none("+999 712 345 678", "unknown_country"), none("+44 20 7946 0018", "not_mobile"),
	none("=1+1", "not_a_number"),
	again("+254%d%03d%03d"), again("0%d-%03d-%03d"), again("%d%03d%03d"),
	framed("\"Doe; \"\"J\"\" %d\nsecond line\";%s;Thika\n"), framed("\r\n;;\r\n\"Quoted %d\";\"%s\";\"\"\r\n"), framed("Wide %d;%s;;;;\n"),
	framed("Short %d;%s\r\n"), framed(" ;;\n   \nBelow blanks %d;%s;\n"),
	func(i int) Row {
		return Row{Text: fmt.Sprintf("Cut off %d\n", i), Reason: invalid, Code: "empty"}
	},
}
