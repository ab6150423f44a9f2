package ledger

import (
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// recordReader reads and decodes the stored records of campaigns: batches, rows, results and
// exclusions. It changes nothing in Redis. Its methods are safe for concurrent use.
type recordReader struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
}
