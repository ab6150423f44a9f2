package planning

import (
	"fmt"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

func TestMessageSet_HoldsExactlyTheAddedMessages(t *testing.T) {
	t.Parallel()
	s := newMessageSet()
	const n = 10_000
	for i := range n {
		s.add(sms.MSISDN(254_700_000_000+i/3), fmt.Sprint("bill ", i))
		s.add(sms.MSISDN(254_700_000_000+i/3), fmt.Sprint("bill ", i))
	}
	if s.used != n {
		t.Errorf("the set holds %d messages, want %d", s.used, n)
	}
	for i := range n {
		m := sms.MSISDN(254_700_000_000 + i/3)
		if !s.has(m, fmt.Sprint("bill ", i)) {
			t.Fatalf("message %d is not in the set", i)
		}
		if s.has(m+n, fmt.Sprint("bill ", i)) || s.has(m, fmt.Sprint("bill ", i, " ")) {
			t.Fatalf("a message with the number or the text of message %d is in the set, but was not added", i)
		}
	}
	if most := 22 * n; 8*len(s.slots) > most {
		t.Errorf("%d messages take %d bytes, want at most %d", n, 8*len(s.slots), most)
	}
}
