package producer

import (
	"context"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
)

// recentFor is how long Send uses an account or the routes after the client has read them.
const recentFor = time.Second

// The type "recent" holds accounts and routes that were read a moment ago. So a program that sends many single
// messages need not read them for each message. The result of a failed read is not kept.
type recent struct {
	mu       sync.Mutex
	accounts map[string]recentAccount
	routes   []campaign.Route
	routesAt time.Time
}

type recentAccount struct {
	accounts.Account
	at time.Time
}

// maxRecent is the maximum number of accounts in the map of a "recent" value.
const maxRecent = 1000

// account returns the same result as Client.account. If the parameter "stale" is true, the result may
// be up to recentFor old.
func (r *recent) account(ctx context.Context, c *Client, name string, stale bool) (a accounts.Account, published []string, err error) {
	if stale {
		r.mu.Lock()
		known, ok := r.accounts[name]
		r.mu.Unlock()
		if ok && time.Since(known.at) < recentFor {
			return known.Account, nil, nil
		}
	}
	begun := time.Now()
	if a, published, err = c.account(ctx, name); err != nil || !stale {
		return a, published, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.accounts == nil || len(r.accounts) >= maxRecent {
		r.accounts = map[string]recentAccount{}
	}
	r.accounts[name] = recentAccount{a, begun}
	return a, published, nil
}

// routesInForce returns the same result as Client.routesInForce. If the parameter "stale" is true, the
// result may be up to recentFor old.
func (r *recent) routesInForce(ctx context.Context, c *Client, stale bool) ([]campaign.Route, error) {
	if stale {
		r.mu.Lock()
		routes, at := r.routes, r.routesAt
		r.mu.Unlock()
		if len(routes) > 0 && time.Since(at) < recentFor {
			return routes, nil
		}
	}
	begun := time.Now()
	routes, err := c.routesInForce(ctx)
	if err == nil && stale {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.routes, r.routesAt = routes, begun
	}
	return routes, err
}
