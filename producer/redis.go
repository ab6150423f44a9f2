package producer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// checkClient returns an ErrInvalid if the client is nil, or if it could lose data or read old
// data: a ring, or a client that reads from replicas.
func checkClient(rdb redis.UniversalClient) error {
	if err := script.CheckClient(rdb); err != nil {
		return fmt.Errorf("new producer: %w: %w", ErrInvalid, err)
	}
	return nil
}

// The slice "passing" has the first words of those errors of a Redis server that are temporary.
var passing = []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "READONLY", "ERR max number of clients"}

// redisIsAway reports whether a read that failed with the error err may succeed later. This is so
// if err is about the connection to Redis or the state of the server.
func redisIsAway(err error) bool {
	if errors.Is(err, redis.ErrClosed) {
		return false // the caller has closed the client
	}
	var answer redis.Error
	if errors.As(err, &answer) {
		return slices.ContainsFunc(passing, func(start string) bool { return strings.HasPrefix(answer.Error(), start) })
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	// go-redis exports no error values for these two errors.
	return strings.Contains(err.Error(), "cluster has no nodes") || strings.Contains(err.Error(), "all sentinels are unreachable")
}
