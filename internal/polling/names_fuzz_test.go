package polling

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// A name in the queue may have any bytes. If parseCall accepts a name, the call or span that it returns must have
// exactly this name. Otherwise Put or EndSpan would change another entry of the queue.
func FuzzParseCall(f *testing.F) {
	f.Add(spanCampaign, "1795977232000+60000")
	f.Add(spanCampaign, "-1+2147483647")
	f.Add(spanCampaign, "+1+0")
	f.Add("c:u", "0.0.1.2")
	f.Add("a:b:c", "0.0.-1.2")
	f.Add(":", "...")
	f.Add("c", "0.0.1.99999999999999999999")
	f.Fuzz(func(t *testing.T, first, name string) {
		c, ok := parseCall(first, name)
		if !ok {
			return
		}
		if c.Call < 0 || c.Generation < 0 || c.Span.Length < 0 || (first == spanCampaign) != (c.Span.Length > 0) {
			t.Errorf("%q %q is parsed as %+v", first, name, c)
		}
		if gotFirst, gotName := c.names(); gotFirst != first || gotName != name {
			t.Errorf("%q %q is parsed as the call with the names %q %q", first, name, gotFirst, gotName)
		}
		if m, ok := parseMember(first + " " + name); ok && !strings.Contains(first, " ") {
			if got := memberName(m); got != first+" "+name {
				t.Errorf("the member %q is parsed as the member %q", first+" "+name, got)
			}
		}
	})
}

// Each call and each span that a worker adds to the queue must be read back unchanged.
func FuzzNamesOfCalls(f *testing.F) {
	f.Add("c", "u", 0, 0, 0, 0, int64(0), int64(60_000))
	f.Add("order:17", "3f", 499, 20, 7, 1, time.Now().UnixMilli(), int64(1))
	f.Fuzz(func(t *testing.T, id, upload string, page, batch, call, generation int, start, length int64) {
		if min(page, batch, call, generation) < 0 || strings.Contains(upload, ":") || strings.ContainsAny(id+upload, " ") {
			return // no upload has such an ID
		}
		want := ledger.SentCall{BatchRef: ledger.BatchRef{Campaign: id, Upload: upload, Name: campaign.BatchName(page, batch)}, Call: call, Generation: generation}
		got, ok := parseMember(memberName(want))
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); !ok || diff != "" {
			t.Errorf("a member of a span is read as another call (%v): %s", ok, diff)
		}
		if length <= 0 || length > 1<<31-1 {
			return
		}
		span := Span{time.UnixMilli(start), time.Duration(length) * time.Millisecond}
		if got, ok := parseSpan(span.name()); !ok || got != span {
			t.Errorf("the span %v is read as %v (%v)", span, got, ok)
		}
	})
}
