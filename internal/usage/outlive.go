package usage

import (
	"context"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// outliveScript also runs on a full Redis, because it is a part of retention, which frees memory.
var outliveScript = script.NewAlwaysAllowed("outlive", source("outlive"))

// outliveArgs are the arguments of outlive.lua.
type outliveArgs struct {
	Life time.Duration
	ID   string
}

// messageHashes is the number of hashes that together hold the counted totals of single messages. If a hash has at
// most 128 messages, Redis stores it in about 60 bytes a message.
const messageHashes = 4096

// messagesKey returns the key of the hash that holds the counted totals of a single message.
func messagesKey(id string) string {
	return keyPrefix + "m:" + strconv.Itoa(int(crc32.ChecksumIEEE([]byte(id))%messageHashes))
}

// stateKeys returns the keys at which the counted totals of a campaign or of a single message can be.
func stateKeys(id string, message bool) []string {
	if message {
		return []string{stateKey(id), messagesKey(id)}
	}
	return []string{stateKey(id)}
}

// The method "outlive" keeps the counted totals of a removed campaign for stateLife. It also works for a single
// message, whose totals are at one of two keys.
func (s *Store) outlive(ctx context.Context, id string) error {
	if _, err := s.scripts.Run(ctx, outliveScript, stateKeys(id, true), script.Args(outliveArgs{Life: stateLife, ID: id})...); err != nil {
		return fmt.Errorf("purge %s: %w", id, err)
	}
	return nil
}
