package dirtylist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/test/dirtylist"
	"github.com/tuma-sms/tuma/sms"
)

// Reading the list gives exactly the rows, numbers and reasons that the package states.
func TestWrite_RowsAreReadAsIntended(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var text strings.Builder
	if err := dirtylist.Write(&text, n); err != nil {
		t.Fatal(err)
	}
	l := recipients.New(strings.NewReader(text.String()), int64(text.Len()), recipients.Options{Name: "dirty.csv"})
	seen := map[sms.MSISDN]bool{}
	left := map[string]int{}
	i := 0
	for r, err := range l.All() {
		if err != nil {
			t.Fatal(err)
		}
		want := dirtylist.At(i)
		m, err := sms.ParseMSISDN(r.Number, dirtylist.Country)
		reason, code := "", ""
		if bad, ok := errors.AsType[*sms.NumberError](err); ok {
			reason, code = "invalid_number", string(bad.Reason)
		} else if seen[m] {
			reason = "duplicate"
		}
		got := dirtylist.Row{Text: want.Text, Number: r.Number, MSISDN: uint64(m), Reason: reason, Code: code}
		if got != want {
			t.Errorf("row %d at %s is %+v, want %+v", i, l.Where(), got, want)
		}
		seen[m] = m != 0
		left[fmt.Sprint(reason != "")]++
		i++
	}
	if i != n || left["true"] < n/50 {
		t.Errorf("got %d rows, want %d; by whether they are skipped: %v, want at least %d skipped", i, n, left, n/50)
	}
}
