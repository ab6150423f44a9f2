//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// sender is the sender ID of every account. It is also the short code to which subscribers send their messages.
const sender = "ACME"

// stopText and backText are the texts that subscribers send to opt out and to opt in. wordStop and wordBack are the
// words that the inbox shows for these texts.
const (
	stopText = "STOP"
	backText = "Start!"
	wordStop = "stop"
	wordBack = "start"
)

// incoming is a message of a subscriber that the sandbox forwards.
type incoming struct {
	account, id string
	from        uint64
	word        string // "stop", "start", or "" for a message without such a word
	// The field "began" is the time at which the first post began. The field "taken" is the time of the first 2xx for
	// a post, or zero if no post has got a 2xx yet.
	began, taken time.Time
	// failed means that a post got no 2xx.
	failed bool
}

// inboundLog records the messages of subscribers. Safe for concurrent use.
type inboundLog struct {
	mu       sync.Mutex
	messages map[string]*incoming // by account and ID
	// listed maps a number to true if it must be on the suppression list at the end.
	listed map[uint64]bool
}

func newInboundLog() *inboundLog {
	return &inboundLog{messages: map[string]*incoming{}, listed: map[uint64]bool{}}
}

// The method "begin" records a message whose posts begin now, and gives it an ID.
func (l *inboundLog) begin(account string, from uint64, word string) *incoming {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &incoming{account: account, id: fmt.Sprintf("chaos-in-%d", len(l.messages)+1), from: from, word: word, began: time.Now()}
	l.messages[m.account+" "+m.id] = m
	return m
}

// The method "answered" records the answer to a post of a message.
func (l *inboundLog) answered(m *incoming, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case status/100 != 2:
		m.failed = true
	case m.taken.IsZero():
		m.taken = time.Now()
	}
}

// The method "expect" records whether a number must be on the suppression list at the end.
func (l *inboundLog) expect(number uint64, isListed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed[number] = isListed
}

// hasFailed reports whether a post of a message got no 2xx.
func (l *inboundLog) hasFailed(m *incoming) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return m.failed
}

// The method "text" returns the text of a message.
func (m *incoming) text() string {
	switch m.word {
	case wordStop:
		return stopText
	case wordBack:
		return backText
	}
	return "What is the price of " + m.id + "?"
}

// The method "forward" posts a message to `tuma serve` twice, as a gateway does. The second post comes up to two
// seconds later. Each of the two posts is repeated until it gets a 2xx. The method closes the channel "taken" at the
// first 2xx. It returns true when both posts have got a 2xx, and false if ctx ends before that.
func (r *chaosRun) forward(ctx context.Context, m *incoming, taken chan<- struct{}) bool {
	f := r.gateway.Gateway(m.account).Vendor().(simulator.Forwarder).Forward(
		simulator.Incoming{ID: m.id, From: strconv.FormatUint(m.from, 10), To: sender, Text: m.text(), At: m.began})
	query, body := f.Form, ""
	if f.Method != http.MethodGet {
		query, body = "", f.Form
	}
	var posts sync.WaitGroup
	var first sync.Once
	done := [2]bool{}
	for copied := range done {
		posts.Go(func() {
			wait := time.Duration(copied) * rand.N(2*time.Second)
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
				status := r.relay.pass(ctx, m.account, "inbound", f.Method, query, []byte(body))
				r.inbound.answered(m, status)
				if status/100 == 2 {
					first.Do(func() { close(taken) })
					done[copied] = true
					return
				}
				wait = min(2*wait, 2*time.Second) + 100*time.Millisecond + rand.N(200*time.Millisecond) // a busy `tuma serve` may refuse every post, so each pause is longer
			}
		})
	}
	posts.Wait()
	return done[0] && done[1]
}

// The method "send" forwards a message with an opt-out or opt-in word, or with another text if the parameter "word"
// is empty. It returns the message. It also returns true when both posts have got a 2xx, or false if ctx ends before
// that.
func (r *chaosRun) send(ctx context.Context, account string, from uint64, word string) (*incoming, bool) {
	m := r.inbound.begin(account, from, word)
	return m, r.forward(ctx, m, make(chan struct{}))
}

// The constant "subscribers" is how many subscribers of a gateway send messages at once.
const subscribers = 2

// runSubscriber sends messages to a gateway until the channel "over" is closed. Each message or conversation has
// another number. One of three subscribers sends a STOP, perhaps a START after it, and perhaps one more STOP.
func (r *chaosRun) runSubscriber(ctx context.Context, account string, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-time.After(rand.N(2 * r.traffic.pause)):
		}
		from := r.traffic.subscriber()
		if rand.N(3) > 0 {
			r.traffic.background.Go(func() { r.send(ctx, account, from, "") })
			continue
		}
		r.traffic.background.Go(func() { r.converse(ctx, account, from) })
	}
}

// The method "converse" sends a STOP. About half of the conversations continue with a START, and some of these end with
// another STOP.
func (r *chaosRun) converse(ctx context.Context, account string, from uint64) {
	m, ok := r.send(ctx, account, from, wordStop)
	if !ok {
		return
	}
	r.inbound.expect(from, true)
	// After a post without a 2xx, a process may still work on that post, and write the opt-out again after the
	// START.
	if r.inbound.hasFailed(m) || rand.N(2) == 0 {
		return
	}
	if _, ok = r.send(ctx, account, from, wordBack); !ok {
		return
	}
	r.inbound.expect(from, false)
	if rand.N(2) == 0 {
		return
	}
	if _, ok = r.send(ctx, account, from, wordStop); ok {
		r.inbound.expect(from, true)
	}
}

// optOutByWord opts a recipient of a campaign out with a STOP. When a post of the STOP gets a 2xx, no further call to
// the recipient may begin. Then optOutByWord reads the open calls of the campaign. Of all calls to the recipient,
// only these open calls may still reach the gateway.
func (r *chaosRun) optOutByWord(ctx context.Context, c *campaign, n uint64) {
	m := r.inbound.begin(forwards[rand.N(len(forwards))], n, wordStop)
	taken := make(chan struct{})
	r.traffic.background.Go(func() { r.forward(ctx, m, taken) })
	select {
	case <-ctx.Done():
		return
	case <-taken:
	}
	r.inbound.expect(n, true)
	for tick := time.Tick(50 * time.Millisecond); ; {
		calls, err := r.claims.openOf(ctx, c.id)
		if err == nil {
			r.optOuts.confirmWord(n, time.Now(), calls)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// checkInbox compares the inbox with the messages that were posted. It returns the broken promises.
func (l *inboundLog) checkInbox(inbox []producer.Inbound) (breaches noticed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var order []*incoming
	found := map[*incoming]int{}
	for _, x := range inbox {
		if !slices.Contains(forwards, x.Account) {
			continue // `tuma serve` has polled this message, so the sandbox did not forward it
		}
		m := l.messages[x.Account+" "+x.ID]
		if m == nil || x.From != strconv.FormatUint(m.from, 10) || x.Text != m.text() || x.Word != m.word || x.To != sender {
			breaches.add("inbox: the message %s %s from %s with the word %q was not sent so", x.Account, x.ID, x.From, x.Word)
			continue
		}
		if found[m]++; found[m] == 2 {
			breaches.add("inbox: the message %s %s is there twice", m.account, m.id)
		}
		order = append(order, m)
	}
	for _, m := range l.messages {
		if !m.taken.IsZero() && found[m] == 0 {
			breaches.add("inbox: the message %s %s got a 2xx, but is not there", m.account, m.id)
		}
	}
	breaches.checkOrder(order)
	return breaches
}

// checkOrder adds a broken promise for each message at a wrong place. If message A got its 2xx before the first post
// of message B, A must be before B in the inbox.
func (b *noticed) checkOrder(order []*incoming) {
	var earliest *incoming // of all messages behind m in the inbox, the message with the earliest 2xx
	for _, m := range slices.Backward(order) {
		if earliest != nil && earliest.taken.Before(m.began) {
			b.add("inbox: the message %s %s got its 2xx %s before the first post of %s %s, but is behind it", earliest.account, earliest.id,
				m.began.Sub(earliest.taken), m.account, m.id)
		}
		if !m.taken.IsZero() && (earliest == nil || m.taken.Before(earliest.taken)) {
			earliest = m
		}
	}
}

// checkLists compares the suppression lists with the words that were sent. The function entries() returns the entries
// of a number on the lists.
func (l *inboundLog) checkLists(entries func(number uint64) ([]producer.OptOut, error)) (breaches noticed, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for number, want := range l.listed {
		list, err := entries(number)
		if err != nil {
			return nil, err
		}
		got := slices.ContainsFunc(list, func(o producer.OptOut) bool { return o.Sender == sender || o.Sender == "" })
		switch {
		case want && !got:
			breaches.add("%d sent a STOP that got a 2xx, but is on no suppression list", number)
		case got && !want:
			breaches.add("%d sent a START after its STOP, but is on the suppression list %+v", number, list)
		}
	}
	return breaches, nil
}

// The type "noticed" is a list of broken promises of one kind. It has at most maxBreaches entries.
type noticed []string

func (b *noticed) add(format string, args ...any) {
	if len(*b) < maxBreaches {
		*b = append(*b, fmt.Sprintf(format, args...))
	}
}

// The method "counts" returns how many messages were posted, and how many of them had an opt-out or opt-in word.
func (l *inboundLog) counts() (all, words int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.messages {
		if m.word != "" {
			words++
		}
	}
	return len(l.messages), words
}

// checkInbound returns the broken promises about the messages of subscribers.
func (r *chaosRun) checkInbound(ctx context.Context) ([]string, error) {
	var inbox []producer.Inbound
	for x, err := range r.traffic.watcher.Inbound(ctx, producer.InboundOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("read the inbox: %w", err)
		}
		inbox = append(inbox, x)
	}
	breaches := r.inbound.checkInbox(inbox)
	more, err := r.inbound.checkLists(func(number uint64) ([]producer.OptOut, error) {
		return r.traffic.watcher.OptOutsOf(ctx, "+"+strconv.FormatUint(number, 10), "")
	})
	if err != nil {
		return nil, fmt.Errorf("read the suppression lists: %w", err)
	}
	return slices.Concat(breaches, more), nil
}
