package producertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// Message is a message that the gateway accepted.
type Message struct {
	// To is the number in international format without a plus sign, e.g. "254712345678".
	To string
	// From is the sender ID.
	From string
	// Body is the text, with its merge fields filled in.
	Body string
	// Campaign is the ID of the campaign.
	Campaign string
	// Account is the account that sent the message.
	Account string
	// IdempotencyKey is the key of the call. All messages of a call have the same key.
	IdempotencyKey string
	// ID is the gateway's ID of the message. It is the MessageID of a producer.Result.
	ID string
	// Lost is true if the gateway's answer did not reach the worker (UnknownNext). Then Tuma does
	// not know that the gateway accepted the message.
	Lost bool
}

// String returns the message in one line.
func (m Message) String() string {
	lost := ""
	if m.Lost {
		lost = ", answer lost"
	}
	return fmt.Sprintf("to %s from %s, campaign %s%s: %q", m.To, m.From, m.Campaign, lost, m.Body)
}

// Sent returns every message that the gateway has accepted, in the order in which it accepted them.
// It first waits until all campaigns are at rest: they have ended, or are paused with no call in
// flight, or their StartAt is in the future. If they are not at rest within Config.Timeout, Sent
// ends the test with Fatal, and lists the campaigns that have not ended and the reasons that block
// them.
//
// Sent does not wait for an Enqueue that has not begun. If the service enqueues in the
// background, wait until Enqueue has returned before you call Sent.
func (u *Tuma) Sent(t testing.TB) []Message {
	t.Helper()
	u.await(t, "")
	u.nameCampaigns(t)
	u.gateway.mu.Lock()
	defer u.gateway.mu.Unlock()
	out := make([]Message, len(u.gateway.sent))
	for i, m := range u.gateway.sent {
		out[i] = *m
	}
	return out
}

// SentTo is like Sent, but returns only the messages to the given number, in national or
// international format.
func (u *Tuma) SentTo(t testing.TB, number string) []Message {
	t.Helper()
	to := u.parse(t, number).String()
	return slices.DeleteFunc(u.Sent(t), func(m Message) bool { return m.To != to })
}

// AssertSent checks that the gateway has accepted exactly one message to a number, and that
// the body of this message contains the parameter "text". Otherwise it marks the test as
// failed. AssertSent first waits like Sent.
func (u *Tuma) AssertSent(t testing.TB, number, text string) {
	t.Helper()
	to := u.parse(t, number).String()
	all := u.Sent(t)
	sent := slices.DeleteFunc(slices.Clone(all), func(m Message) bool { return m.To != to })
	switch {
	case len(sent) == 1 && strings.Contains(sent[0].Body, text):
	case len(sent) == 1:
		t.Errorf("producertest: message to %s: body is %q, want it to contain %q", to, sent[0].Body, text)
	default:
		t.Errorf("producertest: the gateway accepted %s to %s, want 1 message that contains %q\n%s\n%s",
			counted(len(sent), "message", "messages"), to, text, listed(all), u.report())
	}
}

// AssertStatus checks the status of one recipient of a campaign: "pending", "accepted", "rejected",
// "unknown" or "skipped". It first waits until this campaign is at rest, as Sent waits for all
// campaigns. If the recipient has another status, AssertStatus marks the test as failed. If several
// recipients of the campaign have the number, AssertStatus checks the first of them.
func (u *Tuma) AssertStatus(t testing.TB, campaign, number, status string) {
	t.Helper()
	to := u.parse(t, number).String()
	u.await(t, campaign)
	ctx, cancel := context.WithTimeout(context.Background(), u.within(t))
	defer cancel()
	var others []string
	for r, err := range u.client.Results(ctx, campaign) {
		if err != nil {
			t.Fatalf("producertest: results of %s: %v", campaign, err)
		}
		if r.MSISDN != to {
			others = append(others, describeResult(r))
			continue
		}
		if r.Status != status {
			t.Errorf("producertest: campaign %s, recipient %s, want %s", campaign, describeResult(r), status)
		}
		return
	}
	t.Errorf("producertest: campaign %s has no recipient %s, want that recipient with status %s. Its recipients:\n%s", campaign, to, status, indented(others))
}

func describeResult(r producer.Result) string {
	number := r.MSISDN
	if number == "" {
		number = fmt.Sprintf("%q", r.Input)
	}
	line := number + " is " + r.Status
	if r.Reason != "" {
		line += ", " + r.Reason
	}
	if r.Code != "" {
		line += " (" + r.Code + ")"
	}
	return line
}

// The function "listed" returns the messages, one on each line.
func listed(messages []Message) string {
	if len(messages) == 0 {
		return "It accepted nothing."
	}
	var lines []string
	for _, m := range messages {
		lines = append(lines, m.String())
	}
	return "It accepted:\n" + indented(lines)
}

func indented(lines []string) string {
	more := len(lines) - shown
	if more > 0 {
		lines = append(slices.Clone(lines[:shown]), fmt.Sprintf("and %d more", more))
	}
	return "  " + strings.Join(lines, "\n  ")
}

// parse reads a number. If the number is not valid, parse ends the test.
func (u *Tuma) parse(t testing.TB, number string) sms.MSISDN {
	t.Helper()
	m, err := sms.ParseMSISDN(number, u.cfg.Country)
	if err != nil {
		t.Fatalf("producertest: number %q: %v", number, err)
	}
	return m
}

// nameCampaigns sets Message.Campaign of the messages. A call does not name its campaign, but the
// campaign's results contain the idempotency key of the call. If a message was sent again, the
// results contain only the key of its last call, so the key of the earlier message is unknown. For
// the earlier message, nameCampaigns sets the campaign of the next message with the same number,
// sender ID and body.
func (u *Tuma) nameCampaigns(t testing.TB) {
	t.Helper()
	keys := u.gateway.unnamed()
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), u.within(t))
	defer cancel()
	for s, err := range u.client.List(ctx) {
		if err != nil {
			t.Fatalf("producertest: list campaigns: %v", err)
		}
		for r, err := range u.client.Results(ctx, s.ID) {
			if errors.Is(err, producer.ErrNotFound) {
				break // the campaign was removed meanwhile
			}
			if err != nil {
				t.Fatalf("producertest: results of %s: %v", s.ID, err)
			}
			if _, ok := keys[r.MessageUUID]; ok {
				keys[r.MessageUUID] = s.ID
			}
		}
	}
	u.gateway.name(keys)
}

// The method "unnamed" returns the idempotency keys of the messages whose campaign is not set yet.
func (g *gateway) unnamed() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	keys := map[string]string{}
	for _, m := range g.sent {
		if m.Campaign == "" {
			keys[m.IdempotencyKey] = ""
		}
	}
	return keys
}

// The method "name" sets the campaigns of the messages. The map "campaigns" maps an idempotency
// key to a campaign ID.
func (g *gateway) name(campaigns map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	type content struct{ to, from, body string }
	named := map[content]string{}
	for _, m := range slices.Backward(g.sent) {
		c := content{m.To, m.From, m.Body}
		if m.Campaign == "" {
			m.Campaign = campaigns[m.IdempotencyKey]
		}
		if m.Campaign == "" {
			m.Campaign = named[c]
		}
		if m.Campaign != "" {
			named[c] = m.Campaign
		}
	}
}
