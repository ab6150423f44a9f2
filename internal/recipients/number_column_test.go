package recipients

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/sms"
)

func TestNumberColumn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"msisdn", "Phone", "number", "MOBILE", "to", "Recipient", "phone_number", "PhoneNumber", "mobile-number",
		"Mobile No.", "Phone No", "Tel", "Tel.", "Telephone", "Cell", "GSM Number", "Customer Phone", "Simu", "Nambari ya simu",
		"Phone 2", "customer_mobile", "guardianPhone", "Phone (mobile)", "Contact's Cell No:", "WhatsApp Number", "TELEPHONE NO",
		"Téléphone", "Te\u0301le\u0301phone", "phoneno", "Número de telefone", " Phone\u00a0No. ",
	} {
		if !isNumberColumn(name) {
			t.Errorf("isNumberColumn(%q) = false; want true", name)
		}
	}
	for _, name := range []string{
		"", "Name", "Phone model", "Account number", "ID No", "Meter Number", "Mobile money", "Tel code", "Hotel", "Parcel", "Cartel no",
		"Telegram", "Cellar", "no", "Town", "Topic", "Tomorrow", "Phone type", "Number of phones owned", "Simulation",
	} {
		if isNumberColumn(name) {
			t.Errorf("isNumberColumn(%q) = true; want false", name)
		}
	}
}

// A list with two columns of numbers is an error, because one column may have the numbers of other
// people.
func TestNumberColumn_TwoCandidates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Phone\tNumber\n0712345678\t17\n":   "two columns of numbers, Phone and Number: choose one with --column",
		"Phone No,Telephone,Name\n1,2,A\n":  "two columns of numbers, Phone No and Telephone: choose one with --column",
		"Name;Customer Phone;Simu\nA;1;2\n": "two columns of numbers, Customer Phone and Simu: choose one with --column",
	} {
		if _, err := numbersIn(text, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error of %q is %v; want it to contain %q", text, err, want)
		}
	}
	for text, column := range map[string]string{
		"Phone,Name,Phone\n0712345678,A,0733345678\n":   "",
		"Phone,Name, PHONE\n0712345678,A,0733345678\n":  "",
		"Phone;Mobile;phone\n0712345678;1;0733345678\n": "phone",
		"Prénom,Pre\u0301nom\n0712345678,0733345678\n":  "prénom",
	} {
		_, err := numbersIn(text, column)
		if err == nil || !strings.Contains(err.Error(), "two columns of numbers that are both named P") ||
			!strings.Contains(err.Error(), "rename one of them in the file") || strings.Contains(err.Error(), "--column") {
			t.Errorf("the error of %q with --column %q is %v; want the advice to rename one column", text, column, err)
		}
	}
	got, err := numbersIn("Phone\tNumber\n0712345678\t17\n", "phone")
	if diff := cmp.Diff([]string{"0712345678"}, got); err != nil || diff != "" {
		t.Errorf("with --column: error %v %s", err, diff)
	}
}

// A program may write a letter with an accent in two ways: as one character, or as a letter
// followed by an accent. The names of columns must match in both cases.
func TestColumns_AccentsMatch(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "Pr\u00e9nom", "Pre\u0301nom"
	for _, tt := range []struct{ header, field, column string }{
		{composed, decomposed, ""}, {decomposed, composed, ""}, {composed, composed, ""}, {decomposed, decomposed, ""},
		{composed, composed, decomposed}, {decomposed, decomposed, composed},
	} {
		text := "phone," + tt.header + "\n0712345678,0733345678\n"
		l := listOf(text, Options{Name: "list.csv", Column: tt.column, Fields: []string{sms.FieldKey(tt.field)}})
		for r, err := range l.All() {
			if err != nil || r.Fields[sms.FieldKey(tt.field)] != "0733345678" {
				t.Errorf("header %+q, field %+q, column %+q: recipient %v, error %v; want the value of the column", tt.header, tt.field, tt.column, r, err)
			}
		}
	}
}
