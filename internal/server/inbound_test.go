package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// withInbox makes the rig take incoming messages with the default words.
func withInbox(r *rig, c *Config) {
	c.Inbox = inbox.New(script.NewRunner(r.redis.Client(), script.Durability{}), 0, 0)
	c.Words, c.Country = inbox.DefaultWords(), "KE"
}

// newInboundRig returns a rig that takes incoming messages.
func newInboundRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, nil)
	cfg := r.server.cfg
	withInbox(r, &cfg)
	var err error
	r.server, err = New(cfg)
	r.ok(err)
	return r
}

// The method "inbound" returns the messages of the inbox.
func (r *rig) inbound() (all []producer.Inbound) {
	r.Helper()
	for m, err := range r.client.Inbound(r.Context(), producer.InboundOptions{}) {
		r.ok(err)
		all = append(all, m)
	}
	return all
}

// The method "say" posts a message to the door of an account at Africa's Talking.
func (r *rig) say(account, id, from, to, text string) int {
	r.Helper()
	return r.post("/callbacks/"+account+"/"+firstSecret+"/inbound", "id", id, "from", from, "to", to, "text", text, "date", "2026-11-28T09:00:00Z").Code
}

func TestInbound_TenThousandDoubledAndShuffled(t *testing.T) {
	t.Parallel()
	r := newInboundRig(t)
	const count = 10_000
	posts := make([]int, 0, 2*count)
	for i := range count {
		posts = append(posts, i, i)
	}
	random := rand.New(rand.NewPCG(17, 2))
	random.Shuffle(len(posts), func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
	o := &postOrder{begun: map[string]int{}, answered: map[string]int{}}
	next := make(chan int)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for n := range next {
				id := strconv.Itoa(n)
				number, text := fmt.Sprintf("+2547%08d", n), "message "+id
				if n%10 == 0 {
					text = "Stop"
				}
				o.begin(id)
				if code := r.say("acme", id, number, "20414", text); code != http.StatusOK {
					t.Errorf("message %d: answer %d; want 200", n, code)
				}
				if n%10 == 0 && !slices.Equal(r.optOuts(number), []string{"20414 keyword"}) {
					t.Errorf("message %d: the sender is on the lists %q after the answer; want 20414", n, r.optOuts(number))
				}
				o.end(id)
			}
		})
	}
	for _, n := range posts {
		next <- n
	}
	close(next)
	group.Wait()
	o.check(t, r.inbound(), count)
}

// postOrder records in which order the gateway posted messages to the server, and in which order the
// server answered.
type postOrder struct {
	mu sync.Mutex
	// Each map has an entry for each message ID. The map "begun" has the number of answered posts at the time of the
	// message's first post. The map "answered" has the number of answered posts just after the first answer to the
	// message.
	begun, answered map[string]int
	done            int
}

func (o *postOrder) begin(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.begun[id]; !again {
		o.begun[id] = o.done
	}
}

func (o *postOrder) end(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done++
	if _, again := o.answered[id]; !again {
		o.answered[id] = o.done
	}
}

// The method "check" reports a message that is missing or doubled in the inbox. It also reports a message at the
// wrong place: if message A was answered before message B was posted, A must be before B.
func (o *postOrder) check(t *testing.T, all []producer.Inbound, want int) {
	t.Helper()
	seen := map[string]bool{}
	latest := 0
	for _, m := range all {
		if seen[m.ID] {
			t.Errorf("message %s is in the inbox twice", m.ID)
		}
		seen[m.ID] = true
		if o.answered[m.ID] <= latest {
			t.Errorf("message %s, answered as number %d, comes after one that was sent after %d answers", m.ID, o.answered[m.ID], latest)
		}
		latest = max(latest, o.begun[m.ID])
	}
	if len(seen) != want {
		t.Errorf("the inbox has %d messages; want %d", len(seen), want)
	}
}

func TestInbound_WordsChangeTheListOfTheSenderTheyWereSentTo(t *testing.T) {
	t.Parallel()
	r := newInboundRig(t)
	const number = "254711000001"
	for i, step := range []struct {
		account, from, to, text string
		want                    []string
	}{
		{"at", "+254711000001", "20414", "hello", nil},
		{"at", "+254711000001", "20414", "stop it now", nil},
		{"at", "+254711000001", "20414", " stop. ", []string{"20414 keyword"}},
		{"at", "0711000001", "ACME", "SITISHA", []string{"20414 keyword", "ACME keyword"}},
		{"at", "+254711000001", "20414", "Start", []string{"ACME keyword"}},
		{"acme", "+254711000001", "", "anza", nil},
		{"acme", "+254711000001", "", "ACHA", []string{"ACME keyword"}},
		{"acme", "+254711000001", "", "UNSTOP", nil},
		{"at", "+254711000001", "", "STOP", []string{" keyword"}},
	} {
		if code := r.say(step.account, strconv.Itoa(i), step.from, step.to, step.text); code != http.StatusOK {
			t.Errorf("step %d: answer %d; want 200", i, code)
		}
		got := r.optOuts(number)
		slices.Sort(got)
		if !slices.Equal(got, step.want) {
			t.Errorf("step %d: after %q the lists are %q; want %q", i, step.text, got, step.want)
		}
	}
	all := r.inbound()
	if len(all) != 9 || all[2].Word != "stop" || all[4].Word != "start" || all[0].Word != "" || all[3].From != number {
		t.Errorf("the inbox has %+v; want 9 messages with their words", all)
	}
}

func TestInbound_ARepeatedWordChangesNothing(t *testing.T) {
	t.Parallel()
	r := newInboundRig(t)
	r.say("at", "1", "+254711000001", "ACME", "STOP")
	r.say("at", "2", "+254711000001", "ACME", "START")
	r.say("at", "1", "+254711000001", "ACME", "STOP")
	if got := r.optOuts("254711000001"); got != nil {
		t.Errorf("a repeated STOP undid a START: lists %q", got)
	}
	r.say("at", "3", "+254711000001", "ACME", "STOP")
	r.say("at", "2", "+254711000001", "ACME", "START")
	if got := r.optOuts("254711000001"); !slices.Equal(got, []string{"ACME keyword"}) {
		t.Errorf("a repeated START undid a STOP: lists %q; want ACME", got)
	}
}

func TestInbound_StopThatIsNotStoredIsAppliedAgain(t *testing.T) {
	t.Parallel()
	r := newInboundRig(t)
	r.redis.Kill()
	if code := r.say("at", "1", "+254711000001", "ACME", "STOP"); code != http.StatusServiceUnavailable {
		t.Fatalf("without Redis: answer %d; want 503", code)
	}
	r.redis.Restart()
	if code := r.say("at", "1", "+254711000001", "ACME", "STOP"); code != http.StatusOK {
		t.Fatalf("with Redis back: answer %d; want 200", code)
	}
	if got := r.optOuts("254711000001"); !slices.Equal(got, []string{"ACME keyword"}) {
		t.Errorf("the lists are %q; want ACME", got)
	}
	if got := r.inbound(); len(got) != 1 {
		t.Errorf("the inbox has %d messages; want 1", len(got))
	}
}

func TestInbound_SenderThatIsNoNumber(t *testing.T) {
	t.Parallel()
	r := newInboundRig(t)
	if code := r.say("at", "1", "MPESA", "20414", "STOP"); code != http.StatusOK {
		t.Fatalf("answer %d; want 200", code)
	}
	if got := r.inbound(); len(got) != 1 || got[0].From != "MPESA" {
		t.Errorf("the inbox has %+v; want the message from MPESA", got)
	}
	if logged := r.log.String(); !strings.Contains(logged, "the word changes nothing") || strings.Contains(logged, "MPESA") {
		t.Errorf("the log is %s; want a warning without the sender", logged)
	}
}

func TestInbound_TextConnectForwardsByGet(t *testing.T) {
	t.Parallel()
	r := newInboundRig(t)
	path := "/callbacks/tc/" + secondSecret + "/inbound?id=9&source=447400123456&dest=60777&msg=Stop&receivedts=2026-11-28+09:00:00&auth=x"
	for range 2 {
		if w := r.request(http.MethodGet, path, nil); w.Code != http.StatusOK {
			t.Fatalf("answer %d; want 200", w.Code)
		}
	}
	if got := r.optOuts("447400123456"); !slices.Equal(got, []string{"60777 keyword"}) {
		t.Errorf("the lists are %q; want 60777", got)
	}
	if got := r.inbound(); len(got) != 1 || got[0].Account != "tc" || !got[0].At.Equal(time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("the inbox has %+v; want one message of tc at 09:00", got)
	}
}

// gatewayInbox is a gateway whose inbox the server polls. If the field "ids" is true, the messages have IDs, and the
// gateway returns two messages for each request. If it is false, the gateway returns all messages for each request.
type gatewayInbox struct {
	providers.Provider
	ids      bool
	mu       sync.Mutex
	messages []providers.Inbound
	asked    chan string
}

func (g *gatewayInbox) Inbox(ctx context.Context, lastID string) ([]providers.Inbound, error) {
	select {
	case g.asked <- lastID:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ids {
		return slices.Clone(g.messages), nil
	}
	last, _ := strconv.Atoi(lastID)
	return slices.Clone(g.messages[last:min(last+2, len(g.messages))]), nil
}

func (g *gatewayInbox) add(from, text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := providers.Inbound{From: from, To: "ACME", Text: text, At: time.Now().Add(time.Duration(len(g.messages)-100) * time.Second)}
	if g.ids {
		m.ID = strconv.Itoa(len(g.messages) + 1)
	}
	g.messages = append(g.messages, m)
}

// The inbox keeps messages for a limited time. A polled message that is older than this time is not stored,
// unless it is an opt-out or opt-in word. Old words are applied in order: a START after a STOP removes the
// opt-out. If the same messages are read a second time, nothing changes.
func TestPoll_OldWordsCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	gateway := &gatewayInbox{asked: make(chan string)}
	cfg := r.server.cfg
	withInbox(r, &cfg)
	cfg.Polled, cfg.PollEvery = []Account{{Name: "polled", Provider: gateway}}, 20*time.Millisecond
	old := time.Now().Add(-cfg.Inbox.Keep() - 24*time.Hour)
	for i, m := range []struct{ from, text string }{{"254711000001", "hello"}, {"254711000001", "stop"}, {"254711000002", "stop"}, {"254711000002", "start"}} {
		gateway.messages = append(gateway.messages, providers.Inbound{From: m.from, To: "ACME", Text: m.text, At: old.Add(time.Duration(i) * time.Minute)})
	}
	s, err := New(cfg)
	r.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	wait := s.startPolls(ctx)
	t.Cleanup(func() { cancel(); wait() })
	for range 4 {
		<-gateway.asked
	}
	for number, want := range map[string][]string{"254711000001": {"ACME keyword"}, "254711000002": nil} {
		if lists := r.optOuts(number); !slices.Equal(lists, want) {
			t.Errorf("the sender %s is on the lists %q; want %q", number, lists, want)
		}
	}
	if got := r.inbound(); len(got) != 3 || got[0].Text != "stop" {
		t.Errorf("the inbox has %+v; want the three messages with a word, once each", got)
	}
}

// The new provider has the new password, so the next poll after a reload must use it. If the new configuration does not
// poll the account, there is no provider to use.
func TestPoll_ReloadReplacesTheProvider(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	before, after := &gatewayInbox{asked: make(chan string)}, &gatewayInbox{asked: make(chan string)}
	cfg := r.server.cfg
	withInbox(r, &cfg)
	cfg.Polled, cfg.PollEvery = []Account{{Name: "polled", Provider: before}}, 20*time.Millisecond
	s, err := New(cfg)
	r.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	wait := s.startPolls(ctx)
	t.Cleanup(func() { cancel(); wait() })
	<-before.asked
	cfg.Polled = []Account{{Name: "polled", Provider: after}}
	r.ok(s.Reload(cfg))
	after.add("254711000001", "hello")
	for n, old := 0, 0; n < 2; { // the second request is made after the messages of the first one are stored
		select {
		case <-before.asked:
			if old++; old > 1 { // one request may have begun before the reload
				t.Fatal("the old provider still gets requests")
			}
		case <-after.asked:
			n++
		}
	}
	if got := r.inbound(); len(got) != 1 || got[0].Text != "hello" {
		t.Errorf("the inbox has %+v, want the message that the new provider returned", got)
	}
	cfg.Polled = nil
	r.ok(s.Reload(cfg))
	_, acc, reader := s.inForce("polled")
	if acc != nil || reader != nil {
		t.Errorf("%+v is still polled", acc)
	}
}

func TestPoll_ReadsTheInboxOfTheGatewayOnce(t *testing.T) {
	t.Parallel()
	for name, ids := range map[string]bool{"with IDs": true, "without IDs": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			gateway := &gatewayInbox{ids: ids, asked: make(chan string)}
			cfg := r.server.cfg
			withInbox(r, &cfg)
			cfg.Polled, cfg.PollEvery = []Account{{Name: "polled", Provider: gateway}}, 20*time.Millisecond
			for range 2 { // two processes
				s, err := New(cfg)
				r.ok(err)
				ctx, cancel := context.WithCancel(t.Context())
				wait := s.startPolls(ctx)
				t.Cleanup(func() { cancel(); wait() })
			}
			for i := range 5 {
				gateway.add(fmt.Sprintf("25471100000%d", i), "stop")
			}
			// The sixth request is made only after the messages of the first five requests are stored.
			for range 6 {
				<-gateway.asked
			}
			gateway.add("254711000009", "hello")
			for range 6 {
				<-gateway.asked
			}
			got := r.inbound()
			if len(got) != 6 || got[5].Text != "hello" || got[0].From != "254711000000" {
				t.Errorf("the inbox has %+v; want six messages in the order of the gateway", got)
			}
			for i := range 5 {
				if lists := r.optOuts(fmt.Sprintf("25471100000%d", i)); !slices.Equal(lists, []string{"ACME keyword"}) {
					t.Errorf("sender %d is on the lists %q; want ACME", i, lists)
				}
			}
		})
	}
}
