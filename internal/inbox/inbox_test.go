package inbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/script/scripttest"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/sms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{"take": {takeArgs{}}})
}

func TestScriptsHaveAGoFileOfTheirName(t *testing.T) {
	t.Parallel()
	scripttest.SameNames(t, luaFiles)
}

// rig is an inbox on a separate Redis.
type rig struct {
	*testing.T
	*Inbox
	rdb   *redis.Client
	lists *optout.Lists
}

func newRig(t *testing.T, keep time.Duration, most int) *rig {
	t.Helper()
	rdb := redistest.Start(t).Client()
	runner := script.NewRunner(rdb, script.Durability{})
	return &rig{T: t, Inbox: New(runner, keep, most), rdb: rdb, lists: optout.New(runner)}
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// The method "take" stores a message and reports whether it was new.
func (r *rig) take(m Message, in *OptIn) bool {
	r.Helper()
	isNew, err := r.Take(r.Context(), m, in)
	r.ok(err)
	return isNew
}

// The method "all" returns the texts of the inbox in their order.
func (r *rig) all() (texts []string) {
	r.Helper()
	after := ""
	for {
		page, err := r.Page(r.Context(), after, 700)
		r.ok(err)
		if len(page) == 0 {
			return texts
		}
		for _, s := range page {
			texts = append(texts, s.Text)
			after = s.Cursor
		}
	}
}

func TestTake_DoubledAndShuffledMessagesAreStoredOnceInOrderOfArrival(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	const count = 2000
	posts := make([]int, 0, 2*count)
	for i := range count {
		posts = append(posts, i, i)
	}
	random := rand.New(rand.NewPCG(17, 1))
	random.Shuffle(len(posts), func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
	var want []string
	for _, n := range posts {
		m := Message{Account: "at", ID: strconv.Itoa(n), From: "254711000001", Text: "text " + strconv.Itoa(n)}
		if n%2 == 1 { // the gateway gives no ID for this message
			m.ID, m.At = "", time.Unix(int64(n), 0).UTC()
		}
		if isNew := r.take(m, nil); isNew != !slices.Contains(want, m.Text) {
			t.Fatalf("%s: new is %v", m.Text, isNew)
		} else if isNew {
			want = append(want, m.Text)
		}
	}
	if got := r.all(); !slices.Equal(got, want) {
		t.Errorf("the inbox has %d messages; want %d in the order of arrival", len(got), len(want))
	}
}

func TestTake_ConcurrentRepetitionsStoreOneMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := r.Take(t.Context(), Message{Account: "at", ID: "7", Text: "hello"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := r.all(); len(got) != 1 {
		t.Errorf("the inbox has %d messages; want 1", len(got))
	}
}

func TestTake_DistinctMessagesAreNotConfused(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	messages := []Message{
		{Account: "a", ID: "1"}, {Account: "a", ID: "2"}, {Account: "b", ID: "1"}, {Account: "a1", ID: ""},
		{Account: "a", From: "254711000001", At: at, Text: "yes"}, {Account: "a", From: "254711000002", At: at, Text: "yes"},
		{Account: "a", From: "254711000001", At: at.Add(time.Second), Text: "yes"}, {Account: "a", From: "254711000001", At: at, Text: "yes "},
		{Account: "a", From: "254711000001", UnreadTime: "noon", Text: "yes"}, {Account: "b", From: "254711000001", At: at, Text: "yes"},
	}
	for i, m := range messages {
		if !r.take(m, nil) {
			t.Errorf("message %d counts as a repetition of an earlier one: %+v", i, m)
		}
	}
	known, err := r.Known(t.Context(), append(messages, Message{Account: "c", ID: "1"}))
	r.ok(err)
	if slices.Contains(known[:len(messages)], false) || known[len(messages)] {
		t.Errorf("known is %v; want true for all but the last", known)
	}
}

func TestTake_BoundsTheInboxByNumber(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 10)
	var cursors []string
	for i := range 25 {
		r.take(Message{Account: "at", ID: strconv.Itoa(i), Text: strconv.Itoa(i)}, nil)
		page, err := r.Page(t.Context(), "", 100)
		r.ok(err)
		cursors = append(cursors, page[len(page)-1].Cursor)
	}
	if got := r.all(); len(got) != 10 || got[0] != "15" {
		t.Errorf("the inbox has %v; want the ten newest", got)
	}
	if r.take(Message{Account: "at", ID: "3", Text: "3"}, nil) {
		t.Error("a repetition of a message that was removed counts as new")
	}
	if page, err := r.Page(t.Context(), cursors[14], 100); err != nil || len(page) != 10 {
		t.Errorf("after the last message that was removed: %d messages, %v; want 10", len(page), err)
	}
	if _, err := r.Page(t.Context(), cursors[13], 100); !errors.Is(err, ErrCut) {
		t.Errorf("after an earlier message: %v; want ErrCut", err)
	}
	if _, err := r.Page(t.Context(), "next", 100); !errors.Is(err, ErrCursor) {
		t.Errorf("after something else: %v; want ErrCursor", err)
	}
}

func TestTake_BoundsTheInboxByAge(t *testing.T) {
	t.Parallel()
	r := newRig(t, time.Hour, 0)
	old := time.Now().Add(-2 * time.Hour).UnixMilli()
	for i := range 5 { // store messages as if they had arrived two hours ago
		m := Message{Account: "at", ID: strconv.Itoa(i), Text: "old"}
		r.ok(r.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: fmt.Sprintf("%d-%d", old, i), Values: []string{"m", `{"x":"old"}`}}).Err())
		r.ok(r.rdb.ZAdd(t.Context(), seenKey, redis.Z{Score: float64(old), Member: string(m.key())}).Err())
	}
	r.take(Message{Account: "at", ID: "new", Text: "new"}, nil)
	if got := r.all(); !slices.Equal(got, []string{"new"}) {
		t.Errorf("the inbox has %v; want the new message only", got)
	}
	if n, err := r.rdb.ZCard(t.Context(), seenKey).Result(); err != nil || n != 1 {
		t.Errorf("%d messages are known, %v; want 1", n, err)
	}
}

// A subscriber sent STOP, START and STOP in this order, but the START arrives last. The subscriber
// stays on the list. Then an opt-in that was sent after both opt-outs removes the entry.
func TestTake_OptInThatArrivesLateKeepsALaterOptOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	const m = sms.MSISDN(254711000001)
	now := time.Now().UTC().Truncate(time.Minute)
	stops := []time.Duration{-3 * time.Hour, -time.Hour, -2 * time.Hour} // the third opt-out arrives last, but was sent before the second one
	for _, ago := range stops {
		_, err := r.lists.Add(t.Context(), "ACME", []optout.Entry{{MSISDN: m, Origin: optout.OriginKeyword, At: now.Add(ago)}}, true)
		r.ok(err)
	}
	for _, tt := range []struct {
		id  string
		ago time.Duration
		on  int
	}{{"late", -90 * time.Minute, 1}, {"last", 0, 0}} {
		r.take(Message{Account: "at", ID: tt.id, Word: Start}, &OptIn{List: "ACME", Number: m, At: now.Add(tt.ago)})
		if found, err := r.lists.Find(t.Context(), []string{"ACME"}, []sms.MSISDN{m}); err != nil || len(found) != tt.on {
			t.Errorf("after the %s opt-in the list has %d entries (%v), want %d", tt.id, len(found), err, tt.on)
		}
	}
}

func TestTake_OptInUndoesOnlyAWord(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	now := time.Now().UTC().Truncate(time.Minute)
	for i, tt := range []struct {
		name, origin string
		at           time.Time
		removed      bool
	}{
		{"word", optout.OriginKeyword, now.Add(-time.Hour), true},
		{"word in the same minute", optout.OriginKeyword, now, true},
		{"later word", optout.OriginKeyword, now.Add(time.Minute), false},
		{"by hand", optout.OriginHand, now.Add(-time.Hour), false},
		{"import", optout.OriginImport, now.Add(-time.Hour), false},
		{"gateway", "gateway:at:optout", now.Add(-time.Hour), false},
	} {
		m := sms.MSISDN(254711000000 + uint64(i))
		_, err := r.lists.Add(t.Context(), "ACME", []optout.Entry{{MSISDN: m, Origin: tt.origin, At: tt.at}}, true)
		r.ok(err)
		_, err = r.lists.Add(t.Context(), "OTHER", []optout.Entry{{MSISDN: m, Origin: optout.OriginKeyword, At: tt.at}}, true)
		r.ok(err)
		before, err := r.lists.Counts(t.Context())
		r.ok(err)
		in := &OptIn{List: "ACME", Number: m, At: now}
		r.take(Message{Account: "at", ID: tt.name, Word: Start}, in)
		after, err := r.lists.Counts(t.Context())
		r.ok(err)
		if removed := before["ACME"] - after["ACME"]; (removed == 1) != tt.removed || before["OTHER"] != after["OTHER"] {
			t.Errorf("%s: removed %d, lists %v; want removed %v from ACME only", tt.name, removed, after, tt.removed)
		}
		// If the opt-in message is repeated, it must not undo an opt-out that was added after the opt-in
		// was stored.
		_, err = r.lists.Add(t.Context(), "ACME", []optout.Entry{{MSISDN: m, Origin: optout.OriginKeyword, At: now}}, true)
		r.ok(err)
		r.take(Message{Account: "at", ID: tt.name, Word: Start}, in)
		if found, err := r.lists.Find(t.Context(), []string{"ACME"}, []sms.MSISDN{m}); err != nil || len(found) != 1 {
			t.Errorf("%s: a repeated opt-in undid a new opt-out (%v)", tt.name, err)
		}
	}
}

func TestTurn_IsGivenOnceInAnInterval(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	for i, want := range []bool{true, false, false} {
		if got, err := r.Turn(t.Context(), "at", time.Minute); err != nil || got != want {
			t.Errorf("turn %d is %v, %v; want %v", i, got, err, want)
		}
	}
	if got, err := r.Turn(t.Context(), "cm", time.Minute); err != nil || !got {
		t.Errorf("turn of another account is %v, %v; want true", got, err)
	}
	r.ok(r.SetLastID(t.Context(), "at", "15071"))
	if id, err := r.LastID(t.Context(), "at"); err != nil || id != "15071" {
		t.Errorf("last ID is %q, %v; want 15071", id, err)
	}
	if id, err := r.LastID(t.Context(), "cm"); err != nil || id != "" {
		t.Errorf("last ID of another account is %q, %v; want none", id, err)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	w := DefaultWords()
	w.Stop = append(w.Stop, "stop all", "arrêt")
	for text, want := range map[string]string{
		"STOP": Stop, "stop": Stop, " Stop \r\n": Stop, "STOP.": Stop, "\"stop\"": Stop, "\u00a0stop\u200b": Stop, "sToPaLl": Stop, "Stop   ALL": Stop,
		"sitisha": Stop, "Acha!": Stop, "ARRÊT": Stop, "cancel": Stop, "optout": Stop, "END": Stop, "quit": Stop, "unsubscribe": Stop,
		"START": Start, "unstop": Start, "anza": Start,
		"": "", "...": "", "stop it": "", "please stop": "", "STOPP": "", "S T O P": "", "start stop": "", "nonstop": "",
	} {
		if got := w.Of(text); got != want {
			t.Errorf("%q is the word %q; want %q", text, got, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, seed := range []string{"STOP", "\x00stop\xff", "ﬆop", "İSTOP", "anza\u202e"} {
		f.Add(seed)
	}
	w := DefaultWords()
	f.Fuzz(func(t *testing.T, text string) {
		got := w.Of(text)
		if got != w.Of(" "+text+"\n") || got != w.Of(Bare(text)) {
			t.Errorf("%q: white space around the text changes its word", text)
		}
	})
}
