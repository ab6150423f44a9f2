//go:build unix

package main

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// postedMessages returns a log of messages. The first two messages are posted at the same time. Each later
// message is first posted two seconds after the first post of the message before. Each message gets its 2xx one
// second after its first post.
func postedMessages(words ...string) (*inboundLog, []*incoming) {
	l, began := newInboundLog(), time.Now()
	var all []*incoming
	for i, word := range words {
		m := l.begin(posted, 254730000001+uint64(i), word)
		m.began = began.Add(time.Duration(max(0, i-1)) * 2 * time.Second)
		m.taken = m.began.Add(time.Second)
		all = append(all, m)
	}
	return l, all
}

// inboxOf returns an inbox with the messages.
func inboxOf(messages ...*incoming) (inbox []producer.Inbound) {
	for _, m := range messages {
		inbox = append(inbox, producer.Inbound{Account: m.account, ID: m.id, From: strconv.FormatUint(m.from, 10), To: sender, Text: m.text(), Word: m.word})
	}
	return inbox
}

func TestInbox_EachMessageOnceInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		change   func(l *inboundLog, m []*incoming) []producer.Inbound
		breaches string
	}{
		{"as they were posted", func(_ *inboundLog, m []*incoming) []producer.Inbound { return inboxOf(m...) }, ""},
		{"two that were posted at once, in the other order", func(_ *inboundLog, m []*incoming) []producer.Inbound { return inboxOf(m[1], m[0], m[2], m[3]) }, ""},
		{"a message of another account", func(_ *inboundLog, m []*incoming) []producer.Inbound {
			return append(inboxOf(m...), producer.Inbound{Account: "connectmedia", ID: "1"})
		}, ""},
		{"one without a 2xx is missing", func(_ *inboundLog, m []*incoming) []producer.Inbound {
			m[3].taken = time.Time{}
			return inboxOf(m[:3]...)
		}, ""},
		{"one without a 2xx is there", func(_ *inboundLog, m []*incoming) []producer.Inbound {
			m[3].taken = time.Time{}
			return inboxOf(m...)
		}, ""},
		{"one with a 2xx is missing", func(_ *inboundLog, m []*incoming) []producer.Inbound { return inboxOf(m[:3]...) }, "got a 2xx, but is not there"},
		{"one is there twice", func(_ *inboundLog, m []*incoming) []producer.Inbound { return inboxOf(append(m, m[3])...) }, "is there twice"},
		{"a later one is before an earlier one", func(_ *inboundLog, m []*incoming) []producer.Inbound { return inboxOf(m[0], m[3], m[1], m[2]) }, "but is behind it"},
		{"another text", func(_ *inboundLog, m []*incoming) []producer.Inbound {
			inbox := inboxOf(m...)
			inbox[0].Text = "other"
			return append(inbox, inboxOf(m[0])...)
		}, "was not sent so"},
		{"a STOP without its word", func(_ *inboundLog, m []*incoming) []producer.Inbound {
			inbox := inboxOf(m...)
			inbox[1].Word = ""
			return inbox
		}, "was not sent so"},
		{"an unknown message", func(_ *inboundLog, m []*incoming) []producer.Inbound {
			return append(inboxOf(m...), producer.Inbound{Account: posted, ID: "1"})
		}, "was not sent so"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, messages := postedMessages("", wordStop, wordBack, "")
			got := l.checkInbox(c.change(l, messages))
			if (len(got) > 0) != (c.breaches != "") || c.breaches != "" && !strings.Contains(got[0], c.breaches) {
				t.Errorf("got the broken promises %q, want %q", got, c.breaches)
			}
		})
	}
}

func TestLists_FollowTheLastWord(t *testing.T) {
	t.Parallel()
	const number = 254730000001
	entry := func(sender string) []producer.OptOut { return []producer.OptOut{{Sender: sender}} }
	for _, c := range []struct {
		name     string
		isListed bool
		entries  []producer.OptOut
		breaches int
	}{
		{"a STOP, and listed for the sender", true, entry(sender), 0},
		{"a STOP, and listed for all senders", true, entry(""), 0},
		{"a STOP, and listed for another sender", true, entry("OTHER"), 1},
		{"a STOP, and not listed", true, nil, 1},
		{"a START, and not listed", false, nil, 0},
		{"a START, and listed", false, entry(sender), 1},
	} {
		l := newInboundLog()
		l.expect(number, !c.isListed)
		l.expect(number, c.isListed)
		got, err := l.checkLists(func(n uint64) ([]producer.OptOut, error) {
			if n != number {
				t.Errorf("%s: the entries of %d are read, want those of %d", c.name, n, number)
			}
			return c.entries, nil
		})
		if err != nil || len(got) != c.breaches {
			t.Errorf("%s: got the broken promises %q, %v, want %d", c.name, got, err, c.breaches)
		}
	}
	l := newInboundLog()
	l.expect(number, true)
	if _, err := l.checkLists(func(uint64) ([]producer.OptOut, error) { return nil, errors.New("redis is down") }); err == nil {
		t.Error("the error of reading a list is lost")
	}
}

func TestInboundLog_RecordsTheFirst2xx(t *testing.T) {
	t.Parallel()
	l := newInboundLog()
	m := l.begin(posted, 254730000001, wordStop)
	l.answered(m, 200)
	first := m.taken
	if first.Before(m.began) || l.hasFailed(m) {
		t.Errorf("after a 2xx the message is %+v", *m)
	}
	l.answered(m, 0)
	l.answered(m, 503)
	l.answered(m, 200)
	if !m.taken.Equal(first) || !l.hasFailed(m) {
		t.Errorf("after another 2xx the message is %+v, want the time %s, and a post that failed", *m, first)
	}
}

// The sandbox must forward each message in the form of the gateway. The gateway's client must then read the ID, text
// and receiver that chaos expects in the inbox.
func TestForward_TheClientsReadTheMessages(t *testing.T) {
	t.Parallel()
	sandbox := catalog.Simulate(simulator.Options{})
	defer sandbox.Close()
	_, messages := postedMessages("", wordStop, wordBack)
	for _, name := range forwards {
		vendor, ok := sandbox.Gateway(name).Vendor().(simulator.Forwarder)
		if !ok {
			t.Fatalf("%s forwards no messages", name)
		}
		parser := openProvider(t, name, "http://127.0.0.1:1").(providers.InboundParser)
		for _, m := range messages {
			f := vendor.Forward(simulator.Incoming{ID: m.id, From: strconv.FormatUint(m.from, 10), To: sender, Text: m.text(), At: m.began})
			c := providers.Callback{Method: f.Method, Query: f.Form, ContentType: "application/x-www-form-urlencoded"}
			if f.Method != http.MethodGet {
				c.Query, c.Body = "", []byte(f.Form)
			}
			got, err := parser.ParseInbound(c)
			if err != nil || len(got) != 1 || got[0].ID != m.id || got[0].Text != m.text() || got[0].To != sender {
				t.Errorf("%s: the client reads %+v, %v", name, got, err)
			}
		}
	}
}

func TestAllowedCalls_AfterAStop(t *testing.T) {
	t.Parallel()
	back := time.Now()
	late := []arrival{{arrived: back.Add(time.Millisecond)}}
	for _, c := range []struct {
		name, status, uuid string
		open               []string
		calls              []arrival
		breaches           int
	}{
		{name: "its call was open", status: "accepted", uuid: "u", open: []string{"u", "v"}, calls: late},
		{name: "its call began later", status: "accepted", uuid: "w", open: []string{"u", "v"}, calls: late, breaches: 1},
		{name: "no call was open", status: "accepted", uuid: "w", calls: late, breaches: 1},
		{name: "two calls, and one was open", status: "accepted", uuid: "u", open: []string{"u"}, calls: slices.Repeat(late, 2), breaches: 1},
		{name: "skipped after an open call that the gateway refused", status: "skipped", open: []string{"u"}, calls: late},
		{name: "skipped, and no call was open", status: "skipped", calls: late, breaches: 1},
		{name: "skipped after an earlier call", status: "skipped", calls: []arrival{{arrived: back.Add(-time.Millisecond)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newOptOutLog()
			open := map[string]bool{}
			for _, key := range c.open {
				open[key] = true
			}
			l.confirmWord(254710000001, back, open)
			l.calls[254710000001] = c.calls
			a := audit{gateway: posted}
			r := producer.Result{Row: 1, Status: c.status, MessageUUID: c.uuid}
			if c.status == "skipped" {
				r.Reason = "opted_out"
			}
			a.checkOptOut("c", r, 0, l.historyOf(254710000001))
			if len(a.breaches) != c.breaches {
				t.Errorf("got the broken promises %q, want %d", a.breaches, c.breaches)
			}
		})
	}
}
