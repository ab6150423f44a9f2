package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// move moves recipients to batches of another account. The map "taken" has, for each generation,
// the positions of the recipients that leave it. The map "placed" has, for the name of each new
// batch, the rows of each of its calls.
func (m *model) move(taken map[*modelGen][]int, placed map[string][][]int) {
	for g, positions := range taken {
		g.members = slices.DeleteFunc(g.members, func(p int) bool { return slices.Contains(positions, p) })
		if len(g.members) == 0 {
			m.closeGen(g)
			continue
		}
		g.rev++
		g.uuid, g.login = "", ""
	}
	for _, name := range slices.Sorted(maps.Keys(placed)) {
		for k, rows := range placed[name] {
			call := fmt.Sprintf("%s.%d", name, k)
			g := &modelGen{call: call, state: "r"}
			for pos, row := range rows {
				r := m.rows[row-1]
				r.call, r.pos, r.from, r.under = call, pos, genKey(call, 0), ""
				g.members = append(g.members, pos)
			}
			m.calls[call] = &modelCall{rows: rows}
			m.gens[genKey(call, 0)] = g
		}
	}
}

// The method "below" returns a batch and the batches to which its recipients moved, in the order in which a
// retry visits these batches.
func (m *model) below(batch string) []string {
	out := []string{batch}
	for _, b := range m.moved[batch] {
		out = append(out, m.below(b)...)
	}
	return out
}

func (m *model) retryOpen(token string, unknown, rejected bool) error {
	switch {
	case m.lastRetry.token == token:
		return nil
	case m.retry != nil && m.retry.token == token:
		return nil
	case m.retry != nil:
		return ErrBusy
	case m.stop != "" || m.expiry != 0 && m.now >= m.expiry:
		return ErrStopped
	case !m.planned():
		return ErrPlanning
	}
	some := slices.ContainsFunc(m.rows, func(r *modelRow) bool {
		return unknown && r.status == campaign.Unknown || rejected && r.status == campaign.Rejected
	})
	if !some {
		return ErrNothingToRetry
	}
	m.fin = false
	m.retry = &modelRetry{token: token, unknown: unknown, rejected: rejected}
	for a := range modelAccounts {
		for _, b := range m.order[a] {
			m.retry.batches = append(m.retry.batches, m.below(b)...)
		}
	}
	return nil
}

// retryStep reopens the recipients of the next batch of a retry.
func (m *model) retryStep() {
	r := m.retry
	b := r.batches[0]
	r.batches = r.batches[1:]
	for _, call := range slices.Sorted(maps.Keys(m.calls)) {
		if !strings.HasPrefix(call, b+".") || m.stop != "" {
			continue
		}
		var list []int
		for p := range m.calls[call].rows {
			if x := m.row(call, p); x.call == call && x.left == "" && !m.listed[m.calls[call].rows[p]] && (r.unknown && x.status == campaign.Unknown || r.rejected && x.status == campaign.Rejected) {
				list = append(list, p)
			}
		}
		if len(list) > 0 {
			m.openGen(call, list, 0, 0)
			r.count += len(list)
			m.threshold.tryAgain(len(list))
		}
	}
	if len(r.batches) == 0 {
		m.lastRetry, m.retry = *r, nil
		m.finish()
	}
}
