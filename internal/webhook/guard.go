package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errPrivate means that a name resolves to an address to which webhooks must not connect.
var errPrivate = errors.New("the host has a private or reserved address, which webhooks do not reach")

// reserved has the ranges of addresses that are not public, although they can look public. Some ranges are not globally
// reachable according to the IANA registries of special-purpose addresses
// (iana.org/assignments/iana-ipv4-special-registry and ...-ipv6-...). The others are the multicast ranges, and the IPv6
// ranges whose addresses can contain an IPv4 address.
var reserved = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",                                     // Microsoft Azure's platform: every machine at Azure can reach it
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", // in this order: Teredo and other protocols, documentation, 6to4, documentation
)

// unicast is the part of the IPv6 addresses that is assigned to public use. Loopback, link-local, unique local,
// multicast, IPv4-compatible and NAT64 (64:ff9b::/96 and 64:ff9b:1::/48) addresses are outside it.
var unicast = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// The function "public" reports whether an address belongs to the public internet.
func public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if a.Is6() && !unicast.Contains(a) {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Time limits and bounds of one request.
const (
	connectTimeout = 5 * time.Second
	// requestTimeout is the time limit of a request with its answer. It is shorter than a lease.
	requestTimeout  = 15 * time.Second
	idleTimeout     = 30 * time.Second
	maxAnswerHeader = 16 << 10
	// maxAnswer is the maximum number of bytes that are read from the body of an answer. If the body is longer, the
	// connection is closed.
	maxAnswer = 4 << 10
)

// newClient returns a client that connects only to public addresses, or to all addresses if "private" is true. The
// client follows no redirect. It uses no proxy, because a proxy would look up the name again.
func newClient(resolver *net.Resolver, private bool) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Resolver: resolver}
	dial := dialer.DialContext
	if !private {
		// The name is looked up twice: here, and by the dialer. The second result can differ from the
		// first, so Control checks each address again before its socket connects.
		dialer.Control = refusePrivate
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if err := lookUp(ctx, resolver, address); err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, address)
		}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dial, TLSHandshakeTimeout: connectTimeout, IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: 2,
			MaxResponseHeaderBytes: maxAnswerHeader, DisableCompression: true,
		},
	}
}

// lookUp returns an error if the host name in an address cannot be resolved, or if one of its IP addresses is not
// public.
func lookUp(ctx context.Context, resolver *net.Resolver, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("look up the host: %w", err)
	}
	found, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("look up the host: %w", err)
	}
	for _, a := range found {
		if !public(a) {
			return errPrivate
		}
	}
	return nil
}

// refusePrivate is the Control function of a net.Dialer. It runs before a socket connects.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return errPrivate
	}
	return nil
}
