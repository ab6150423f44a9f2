package usage

import (
	"context"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// outliveScript also runs on a full Redis, because retention must free memory there.
var outliveScript = script.NewAlwaysAllowed("outlive", source("outlive"))

// outliveArgs are the arguments of outlive.lua.
type outliveArgs struct {
	Life time.Duration
	ID   string
}

// messageHashes is the number of hashes that together hold what was counted of single messages. If a hash has at most
// 128 messages, Redis stores it in about 60 bytes a message.
const messageHashes = 4096

// messagesKey is the key of the hash that has what was counted of a single message.
func messagesKey(id string) string {
	return keyPrefix + "m:" + strconv.Itoa(int(crc32.ChecksumIEEE([]byte(id))%messageHashes))
}

// stateKeys returns the keys of what was counted of a campaign, or of a single message.
func stateKeys(id string, message bool) []string {
	if message {
		return []string{stateKey(id), messagesKey(id)}
	}
	return []string{stateKey(id)}
}

// The method "outlive" keeps what was counted of a removed campaign for stateLife. It looks in both places where this
// data can be.
func (s *Store) outlive(ctx context.Context, id string) error {
	if _, err := s.scripts.Run(ctx, outliveScript, stateKeys(id, true), script.Args(outliveArgs{Life: stateLife, ID: id})...); err != nil {
		return fmt.Errorf("purge %s: %w", id, err)
	}
	return nil
}
