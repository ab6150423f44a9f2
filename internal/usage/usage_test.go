package usage

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script/scripttest"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestScripts(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{"count": {countArgs{}, accountArgs{}}, "outlive": {outliveArgs{}}})
	scripttest.SameNames(t, luaFiles)
}

type rig struct {
	testing.TB
	rdb *redis.Client
	*Store
}

func newRig(t testing.TB) *rig {
	rdb := redistest.Start(t).Client()
	return &rig{t, rdb, New(ledger.New(rdb))}
}

// The method "sent" writes the totals of what a campaign of one account has sent, and returns the summary of the
// campaign.
func (r *rig) sent(id, by string, messages, segments, cost int) ledger.Summary {
	r.Helper()
	if err := r.rdb.HSet(r.Context(), "tuma:{"+id+"}:l", "v", 1, "up", "token-of-"+id, "accepted", messages, "seg", segments, "cost", cost, "ccy", "KES").Err(); err != nil {
		r.Fatal(err)
	}
	return ledger.Summary{ID: id, Upload: "token-of-" + id, Accounts: []string{"at"}, Segments: segments, Counts: campaign.Counts{Accepted: messages},
		Spec: campaign.Spec{From: "ACME", CreatedBy: by}}
}

func (r *rig) count(sum ledger.Summary, now time.Time) {
	r.Helper()
	// Each round uses a new Store. Like a process after a crash, this Store does not remember what was counted.
	for range 2 {
		if err := New(r.ledger).Count(r.Context(), sum, now); err != nil {
			r.Fatal(err)
		}
	}
	if err := r.Count(r.Context(), sum, now); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(name, want string, months ...string) {
	r.Helper()
	rows, err := r.Read(r.Context(), months...)
	if err != nil {
		r.Fatal(err)
	}
	var got []string
	for _, x := range rows {
		got = append(got, fmt.Sprintf("%s %s %s %s/%s %d %d %d %s", x.Month, x.Account, x.Sender, x.Key, x.KeyID, x.Messages, x.Segments, x.Cost, x.Currency))
	}
	if all := strings.Join(got, "\n"); all != want {
		r.Errorf("%s: usage is\n%s\nwant\n%s", name, all, want)
	}
}

var (
	november = time.Date(2025, 11, 30, 23, 59, 59, 0, time.UTC)
	december = november.Add(2 * time.Second)
)

// A campaign may be counted many times, but each message is counted once, in the month of the first count after it was
// sent.
func TestCount_CountsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.count(r.sent("c", "key:shop (f742eeb916)", 3, 4, 2_400_000), november)
	r.want("first", "2025-11 at ACME shop/f742eeb916 3 4 2400000 KES", "2025-11")
	r.count(r.sent("c", "key:shop (f742eeb916)", 10, 14, 8_000_000), december)
	r.want("the rest in the next month", "2025-11 at ACME shop/f742eeb916 3 4 2400000 KES\n2025-12 at ACME shop/f742eeb916 7 10 5600000 KES", "2025-11", "2025-12")
	r.count(r.sent("c", "key:shop (f742eeb916)", 8, 9, 1), december) // Redis has lost two settles
	r.count(r.sent("c", "key:shop (f742eeb916)", 11, 15, 8_800_000), december)
	r.want("a ledger that went back", "2025-12 at ACME shop/f742eeb916 8 11 6400000 KES", "2025-12")
	r.count(r.sent("other", "jane@laptop", 1, 1, 0), december)
	r.count(r.sent("tab", "key:a\tb (1)", 1, 1, 0), december)
	r.want("other callers", "2025-12 at ACME / 1 1 0 KES\n2025-12 at ACME a b/1 1 1 0 KES\n2025-12 at ACME shop/f742eeb916 8 11 6400000 KES", "2025-12")
	if life := r.rdb.ExpireTime(t.Context(), monthKey("2025-11")).Val(); time.Unix(0, 0).Add(life).UTC() != time.Date(2027, 12, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("November is removed at %v, want 2027-12-01", time.Unix(0, 0).Add(life).UTC())
	}
}

// The counted totals of a single message are in a hash that many messages share. They are kept after the message is
// removed. If an earlier release has stored the totals at a separate key, they stay at this key.
func TestCount_OfSingleMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	message := func(id string, messages, segments int) ledger.Summary {
		sum := r.sent(id, "", messages, segments, 800_000)
		sum.Spec.Message = true
		return sum
	}
	r.count(message("m", 1, 1), november)
	r.count(message("m", 1, 1), november)
	r.count(message("m", 1, 2), december)
	r.count(message("other", 1, 1), december)
	r.want("counted once", "2025-11 at ACME / 1 1 800000 KES\n2025-12 at ACME / 1 2 800000 KES", "2025-11", "2025-12")
	if n := r.rdb.Exists(t.Context(), stateKey("m"), stateKey("other")).Val(); n != 0 || r.rdb.HLen(t.Context(), messagesKey("m")).Val() != 1 {
		t.Errorf("%d messages have a key, want none", n)
	}
	for range 2 {
		if err := r.outlive(t.Context(), "m"); err != nil {
			t.Fatal(err)
		}
		r.count(message("m", 1, 2), december)
		if life := r.rdb.TTL(t.Context(), stateKey("m")).Val(); life <= 0 || life > stateLife || r.rdb.HExists(t.Context(), messagesKey("m"), "m").Val() {
			t.Errorf("what was counted of a removed message is kept for %v, want %v", life, stateLife)
		}
	}
	r.want("counted late", "2025-12 at ACME / 1 2 800000 KES", "2025-12")
	old := message("old", 1, 1)
	old.Spec.Message = false
	r.count(old, december)
	r.count(message("old", 1, 1), december)
	r.want("counted by an earlier release", "2025-12 at ACME / 2 3 1600000 KES", "2025-12")
}

// If a campaign takes the ID of an earlier campaign, all messages of the new campaign are counted too. A late
// count of the earlier campaign adds nothing.
func TestCount_OfReplacedCampaigns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := r.sent("c", "", 3, 3, 0)
	r.count(old, november)
	if err := r.rdb.HSet(t.Context(), "tuma:{c}:l", "up", "another", "accepted", 2, "seg", 2).Err(); err != nil {
		t.Fatal(err)
	}
	replaced := old
	replaced.Upload, replaced.Accepted, replaced.Segments = "another", 2, 2
	r.count(replaced, november)
	old.Accepted = 4
	r.count(old, november)
	r.want("both", "2025-11 at ACME / 5 5 0 KES", "2025-11")
}

// A purge counts the messages that are not counted yet. It keeps the counted totals of the campaign for a while,
// because a count that began earlier may still be running.
func TestPurge_CountsFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sum := r.sent("c", "", 3, 3, 0)
	r.count(sum, november)
	now, err := r.ledger.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	month := now.UTC().Format(monthForm)
	if err := r.rdb.HSet(t.Context(), "tuma:{c}:l", "accepted", 5, "seg", 5, "total", 5, "fin", now.UnixMilli(), "hash", "h", "at", "1", "cur", 1, "pg", 1,
		"frozen", `{"a":[{"n":"at","m":100}]}`).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.rdb.Set(t.Context(), "tuma:{c}:s", `{"v":"at","f":"ACME","b":"x"}`, 0).Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		gone, err := r.Purge(t.Context(), "c", now.Add(time.Minute))
		if err != nil || !gone {
			t.Fatalf("purge %d: %t, %v", i+1, gone, err)
		}
	}
	r.want("after the purge", "2025-11 at ACME / 3 3 0 KES\n"+month+" at ACME / 2 2 0 KES", "2025-11", month)
	if life := r.rdb.TTL(t.Context(), stateKey("c")).Val(); life <= 0 || life > stateLife {
		t.Errorf("the state of the campaign is kept for %v, want up to %v", life, stateLife)
	}
}

// The number of rows of a month is limited, but every message is still counted.
func TestCount_BoundsRows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	full := map[string]any{}
	for i := range 10_000 {
		full[rowOf("at", strconv.Itoa(i), "", "", "KES")] = "1 1 0"
	}
	if err := r.rdb.HSet(t.Context(), monthKey("2025-11"), full).Err(); err != nil {
		t.Fatal(err)
	}
	r.count(r.sent("c", "key:shop (1)", 3, 3, 0), november)
	r.count(r.sent("d", "key:other (2)", 4, 4, 0), november)
	rows, err := r.Read(t.Context(), "2025-11")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, x := range rows {
		sum += x.Messages
		if x.Sender == Others && x.Messages != 7 {
			t.Errorf("others have %d messages, want 7", x.Messages)
		}
	}
	if len(rows) != 10_001 || sum != 10_007 {
		t.Errorf("%d rows with %d messages, want 10,001 with 10,007", len(rows), sum)
	}
}
