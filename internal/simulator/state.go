package simulator

import "strings"

// State is the state of one gateway: logins, credit, replies to numbers and counts. The Vendor of
// the gateway uses it. The lock of the server guards it. The caller must hold this lock for every
// method except Lock, Unlock, Seed and Counting.
type State struct {
	server *Server
	name   string

	// The server's lock guards the fields below.
	credit       float64
	counters     counters
	replies      map[uint64]Reply
	texts        map[uint64]string // texts is nil if texts are not kept.
	lastAccepted AcceptedCall
}

// Lock locks the state of all gateways of the server.
func (d *State) Lock() { d.server.mu.Lock() }

// Unlock unlocks the state of all gateways of the server.
func (d *State) Unlock() { d.server.mu.Unlock() }

// Seed returns Options.Seed.
func (d *State) Seed() uint64 { return d.server.options.Seed }

// Counting reports whether the server counts messages by number. It is false with Options.NoCount.
// If it is false, a vendor must not keep messages either.
func (d *State) Counting() bool { return !d.server.options.NoCount }

// The method "reset" restores the initial state.
func (d *State) reset() {
	d.credit = d.server.options.Credit
	if d.credit == 0 {
		d.credit = 1e9
	}
	d.counters = newCounters(d.Counting())
	d.replies, d.lastAccepted, d.texts = map[uint64]Reply{}, AcceptedCall{}, nil
	if d.server.options.Texts {
		d.texts = map[uint64]string{}
	}
}

// ValidLogin reports whether a login is valid.
func (d *State) ValidLogin(user, password string) bool {
	if len(d.server.users) == 0 {
		return true
	}
	want, ok := d.server.users[user]
	return ok && want == password
}

// HasPassword reports whether a secret belongs to any user. It is for gateways whose login is only
// a token.
func (d *State) HasPassword(secret string) bool {
	if len(d.server.users) == 0 {
		return secret != ""
	}
	for _, password := range d.server.users {
		if password == secret {
			return true
		}
	}
	return false
}

// Accept counts an accepted call and charges one credit a message.
func (d *State) Accept(t AcceptedCall) {
	d.credit -= float64(len(t.Numbers))
	d.counters.accept(t)
	d.server.counters.accept(t)
	d.server.appendLog(d.name, t)
	if report := d.server.options.OnAccept; report != nil {
		report(d.name, t, d.server.counters.duplicates)
	}
	if d.texts != nil {
		text := strings.Clone(t.Body)
		for _, n := range t.Numbers {
			d.texts[n] = text
		}
	}
	if d.Counting() {
		d.lastAccepted = t
	}
}

// CountRejected counts a refused call.
func (d *State) CountRejected() {
	d.counters.rejected++
	d.server.counters.rejected++
}

// CountReplay counts a call with a known idempotency key. The parameter "differs" is true if the
// content of the call differs from the content of the first call with the key.
func (d *State) CountReplay(differs bool) {
	for _, b := range []*counters{&d.counters, &d.server.counters} {
		b.replays++
		if differs {
			b.conflicts++
		}
	}
}

// ReplyTo returns the reply that Gateway.SetReply has set for a number, or Accept.
func (d *State) ReplyTo(number uint64) Reply {
	if word, ok := d.replies[number]; ok {
		return word
	}
	return Accept
}

// SetReply sets the reply to these numbers for all later calls. It does not check whether the
// vendor has this reply.
func (d *State) SetReply(word Reply, numbers ...uint64) {
	for _, n := range numbers {
		if word == Accept {
			delete(d.replies, n)
			continue
		}
		d.replies[n] = word
	}
}

// AnyReply reports whether a reply other than Accept is set for any number.
func (d *State) AnyReply() bool { return len(d.replies) > 0 }

// Credit returns the number of messages that the gateway still accepts.
func (d *State) Credit() float64 { return d.credit }

// Charge subtracts an amount from the credit. Do not use it for messages, because Accept charges
// for messages.
func (d *State) Charge(amount float64) { d.credit -= amount }

// HasCredit reports whether the credit covers a number of messages.
func (d *State) HasCredit(messages int) bool { return float64(messages) <= d.credit }
