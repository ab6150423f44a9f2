package redistest

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
)

// CountDNS makes every DNS query of this process fail until the test ends, and returns a function that returns the
// number of queries. It changes net.DefaultResolver, so the test must not call t.Parallel.
func CountDNS(t testing.TB) func() int64 {
	var tried atomic.Int64
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		tried.Add(1)
		return nil, errors.New("the test allows no DNS query")
	}}
	return tried.Load
}
