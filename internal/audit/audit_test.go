package audit

import (
	"fmt"
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestLog_EntriesInOrderAndAfterACursor(t *testing.T) {
	t.Parallel()
	l := New(redistest.Start(t).Client())
	const n = readAtOnce + 20
	for i := range n {
		if err := l.Add(t.Context(), Entry{Who: "me", What: "campaign.pause", Object: fmt.Sprint(i), Detail: "d"}); err != nil {
			t.Fatal(err)
		}
	}
	var all []Entry
	for e, err := range l.Entries(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Object != fmt.Sprint(len(all)) || e.Who != "me" || e.What != "campaign.pause" || e.Detail != "d" || e.At.IsZero() {
			t.Fatalf("entry %d is %+v", len(all), e)
		}
		all = append(all, e)
	}
	if len(all) != n {
		t.Fatalf("%d entries, want %d", len(all), n)
	}
	rest := 0
	for _, err := range l.Entries(t.Context(), all[n-6].Cursor) {
		if err != nil {
			t.Fatal(err)
		}
		rest++
	}
	if rest != 5 {
		t.Errorf("%d entries after the cursor, want 5", rest)
	}
	for _, err := range l.Entries(t.Context(), "no cursor") {
		if err == nil {
			t.Error("a bad cursor has no error")
		}
	}
}
