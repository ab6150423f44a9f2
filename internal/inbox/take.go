package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// OptIn names the entry of a suppression list that a message with an opt-in word removes.
type OptIn struct {
	// List is the name of the suppression list, as optout.ListOf returns it.
	List string
	// Number is the sender of the message.
	Number sms.MSISDN
	// At is the time at which the subscriber sent the opt-in word. An opt-out after this time stays
	// on the list.
	At time.Time
}

// Take stores a message, unless the message is already stored, and reports whether the message
// is new. It returns a nil error only after the message is stored with the durability of the
// Runner. If the message is new and the parameter "in" is not nil, Take also removes the entry that
// "in" names from its suppression list. It removes only an entry that an opt-out word has added.
func (b *Inbox) Take(ctx context.Context, m Message, in *OptIn) (isNew bool, err error) {
	text, err := json.Marshal(m)
	if err != nil {
		return false, fmt.Errorf("store incoming message: %w", err)
	}
	args := takeArgs{ID: m.key(), Message: text, Keep: b.keep, Max: b.max, Origin: optout.KeywordOrigin}
	bucket := optout.MetaKey
	if in != nil {
		args.List = in.List
		bucket, args.Field = optout.Place(in.List, in.Number)
		args.Newest = optout.NewestAt(in.At)
	}
	out, err := b.scripts.Run(ctx, takeScript, []string{streamKey, seenKey, metaKey, optout.MetaKey, bucket}, script.Args(args)...)
	if err != nil {
		return false, fmt.Errorf("store incoming message: %w", err)
	}
	if out[0] != "new" {
		return false, nil
	}
	// The message is already stored. So an error about the event must not be an error of Take,
	// because the gateway would then send the message again.
	_ = events.New(b.scripts, 0).Add(ctx, events.Event{Kind: events.InboundReceived, Account: m.Account, ID: m.ID, From: m.From, To: m.To, Word: m.Word})
	return true, nil
}

// takeArgs are the arguments of take.lua.
type takeArgs struct {
	ID          []byte
	Message     []byte
	Keep        time.Duration
	Max         int
	List, Field string
	Origin      int
	Newest      int64
}

// The method "key" returns a hash that identifies the message. It is a hash of the account and
// the gateway's ID. If the gateway gives no ID, it is a hash of the account, the sender, the time
// and the text.
func (m *Message) key() []byte {
	parts := []string{"id", m.Account, m.ID}
	if m.ID == "" {
		at := m.UnreadTime
		if !m.At.IsZero() {
			at = m.At.UTC().Format(time.RFC3339Nano)
		}
		parts = []string{"text", m.Account, m.From, at, m.Text}
	}
	for i, p := range parts {
		parts[i] = fmt.Sprintf("%d:%s", len(p), p)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "")))
	return sum[:keyLength]
}

// keyLength is the length in bytes of the hash that identifies a message. Among a million messages,
// the probability that two messages have the same hash is below 10⁻¹⁶.
const keyLength = 12

// Known reports for each message whether Take has already stored it. Redis remembers a message for as
// long as messages are kept, even if the message itself was removed earlier.
func (b *Inbox) Known(ctx context.Context, messages []Message) ([]bool, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	keys := make([]string, len(messages))
	for i := range messages {
		keys[i] = string(messages[i].key())
	}
	scores, err := b.rdb.ZMScore(ctx, seenKey, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("look up incoming messages: %w", err)
	}
	known := make([]bool, len(messages))
	for i, s := range scores {
		known[i] = s > 0
	}
	return known, nil
}
