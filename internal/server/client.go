package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// clientOf returns the address of the client of a request. Usually it is the address at the other end of the
// connection. If that is the address of a trusted proxy, the result is the last address in X-Forwarded-For that
// does not belong to a trusted proxy. A client that is not a trusted proxy cannot choose its address with the
// header.
func clientOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, _ := netip.ParseAddr(host)
	addr = addr.Unmap().WithZone("")
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(forwarded) {
		if !contains(trusted, addr) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = next.Unmap().WithZone("")
	}
	return addr
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// The method "note" counts a request that got a 404, and writes a log line at most once a minute.
// The line has the number of these requests and the client of the last request. It does not contain
// the path, because the path may contain a secret with a typing error.
func (f *refusals) note(log zerolog.Logger, client netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	now := time.Now()
	if now.Sub(f.logged) < time.Minute {
		return
	}
	log.Warn().Int("requests", f.count).Stringer("last_client", client).Msg("requests to unknown paths, or with a wrong account or secret, got a 404")
	f.logged, f.count = now, 0
}
