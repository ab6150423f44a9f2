package keys

import (
	"cmp"
	"context"
	"embed"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed *.lua
var luaFiles embed.FS

func source(name string) string {
	b, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic("keys: " + err.Error())
	}
	return string(b)
}

var takeScript = script.New("take", source("take"))

func spentKey(id string) string { return script.KeyPrefix + "keys:{" + id + "}" }

// countedAs returns the ID under which the usage of the key is counted.
func (k *Key) countedAs() string { return cmp.Or(k.CountedAs, k.ID) }

// takeArgs are the arguments of take.lua.
type takeArgs struct {
	Token                                string
	Messages, Daily, Requests, PerSecond int
}

// Take counts requests and messages against the limits of a key. If the key would exceed its limit for
// requests, Take returns ErrTooFast. If it would exceed its limit for messages, Take returns ErrSpent. After such
// an error, nothing is counted. All processes share the counts. A key without a limit is not counted.
func (s *Store) Take(ctx context.Context, k Key, requests, messages int) error {
	if (requests == 0 || k.PerSecond == 0) && (messages == 0 || k.Daily == 0) {
		return nil // nothing limits the key
	}
	return s.take(ctx, k, takeArgs{Token: script.NewToken(), Messages: messages, Daily: k.Daily, Requests: requests, PerSecond: k.PerSecond})
}

// Correct adds messages to today's count. The new count may exceed the daily limit of the key, because the messages
// are already enqueued. If the parameter "messages" is negative, Correct lowers the count.
func (s *Store) Correct(ctx context.Context, k Key, messages int) error {
	if messages == 0 || k.Daily == 0 {
		return nil
	}
	return s.take(ctx, k, takeArgs{Token: script.NewToken(), Messages: messages})
}

func (s *Store) take(ctx context.Context, k Key, args takeArgs) error {
	out, err := s.scripts.Run(ctx, takeScript, []string{spentKey(k.countedAs())}, script.Args(args)...)
	if err != nil {
		return fmt.Errorf("count the use of key %s: %w", k.ID, err)
	}
	switch out[0] {
	case "fast":
		return ErrTooFast
	case "spent":
		return ErrSpent
	}
	return nil
}

// GiveBack subtracts messages from today's count, because the messages were not enqueued.
func (s *Store) GiveBack(ctx context.Context, k Key, messages int) error {
	return s.Take(ctx, k, 0, -messages)
}
