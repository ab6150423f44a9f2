package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// Payloads keeps the unreadable payloads of tasks that belong to no known campaign. It is safe for
// concurrent use.
type Payloads struct{ scripts *script.Runner }

// NewPayloads returns the Payloads in the Redis of a Runner.
func NewPayloads(r *script.Runner) *Payloads { return &Payloads{r} }

const (
	// payloadsKept is the maximum number of stored payloads that belong to no known campaign.
	payloadsKept = 100
	// payloadBytes is how many bytes of a kept payload are stored.
	payloadBytes = 4096
)

// Keep stores the unreadable payload of a task that belongs to no known campaign. It stores the first hundred
// payloads, up to 4 KB of each, and only counts further payloads. The result "first" is false if the payload was
// stored before. A payload that is only counted is counted again each time, and "first" is true each time.
func (p *Payloads) Keep(ctx context.Context, task string, payload []byte, why error) (first bool, err error) {
	e, err := json.Marshal(quarantineEntry{Work: fmt.Sprintf("%.200s", task), Why: fmt.Sprintf("%.200s", why), Size: len(payload),
		Bytes: payload[:min(len(payload), payloadBytes)]})
	if err != nil {
		return false, fmt.Errorf("quarantine payload: %w", err)
	}
	sum := sha256.Sum256(payload)
	out, err := p.scripts.Run(ctx, quarantinePayloadScript, []string{payloadsKey},
		script.Args(quarantinePayloadArgs{Token: script.NewToken(), Name: hex.EncodeToString(sum[:8]) + " " + task, Entry: e, Kept: payloadsKept})...)
	if err != nil {
		return false, fmt.Errorf("quarantine payload: %w", err)
	}
	return out[0] == "1", nil
}

// Count returns the number of payloads that Keep has kept or counted.
func (p *Payloads) Count(ctx context.Context) (int, error) {
	n, err := p.scripts.Redis().HLen(ctx, payloadsKey).Result()
	if err != nil {
		return 0, fmt.Errorf("count quarantined payloads: %w", err)
	}
	more, err := p.scripts.Redis().HGet(ctx, payloadsKey, "+").Int()
	if errors.Is(err, redis.Nil) {
		return int(n), nil
	}
	if err != nil {
		return 0, fmt.Errorf("count quarantined payloads: %w", err)
	}
	return int(n) - 1 + more, nil
}

// quarantinePayloadArgs are the arguments of quarantine_payload.lua.
type quarantinePayloadArgs struct {
	Token, Name string
	Entry       []byte
	Kept        int
}
