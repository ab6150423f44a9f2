package server

import (
	"context"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/providers"
)

const (
	// pollTimeout is the time limit for reading an inbox at a gateway once.
	pollTimeout = 2 * time.Minute
	// maxPages is the maximum number of requests for reading an inbox once.
	maxPages = 100
)

// startPolls starts goroutines that read the inboxes of the polled accounts at their gateways until
// ctx ends. It returns a function that waits until all these goroutines have ended.
func (s *Server) startPolls(ctx context.Context) (wait func()) {
	var group sync.WaitGroup
	for _, acc := range s.cfg.Polled {
		reader, ok := acc.Provider.(providers.InboxReader)
		if !ok || s.cfg.Inbox == nil || s.cfg.PollEvery <= 0 {
			continue
		}
		group.Go(func() { s.poll(ctx, &acc, reader) })
	}
	return group.Wait
}

// poll reads the account's inbox at the gateway each time this process gets the turn (see
// Inbox.Turn in internal/inbox). If the read fails, poll logs the error and repeats the read in
// the next turn.
func (s *Server) poll(ctx context.Context, acc *Account, reader providers.InboxReader) {
	// All server processes share one turn in each PollEvery. Each process asks for the turn four
	// times in this period, so that a process that has stopped is soon replaced.
	tick := time.NewTicker(max(s.cfg.PollEvery/4, time.Millisecond))
	defer tick.Stop()
	for {
		mine, err := s.cfg.Inbox.Turn(ctx, acc.Name, s.cfg.PollEvery)
		if mine {
			err = s.readInbox(ctx, acc, reader)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn().Err(err).Str("account", acc.Name).Msg("reading the inbox at the gateway failed")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// readInbox stores the messages that the gateway has for the account. It repeats the request until the
// gateway has no further message.
func (s *Server) readInbox(ctx context.Context, acc *Account, reader providers.InboxReader) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	last, err := s.cfg.Inbox.LastID(ctx, acc.Name)
	if err != nil {
		return err
	}
	for range maxPages {
		messages, err := reader.Inbox(ctx, last)
		if err != nil {
			return err
		}
		if err := s.takePolled(ctx, acc, messages); err != nil {
			return err
		}
		// If messages have no IDs, the gateway returns its whole inbox in each reply. Then one
		// request has read all messages.
		if len(messages) == 0 || messages[len(messages)-1].ID == "" || messages[len(messages)-1].ID == last {
			return nil
		}
		last = messages[len(messages)-1].ID
		if err := s.cfg.Inbox.SetLastID(ctx, acc.Name, last); err != nil {
			return err
		}
	}
	return nil
}

// takePolled stores the new messages. It skips messages that are older than the time for which the inbox
// keeps messages, unless their text is an opt-out or opt-in word.
func (s *Server) takePolled(ctx context.Context, acc *Account, messages []providers.Inbound) error {
	oldest := time.Now().Add(-s.cfg.Inbox.Keep())
	keys := make([]inbox.Message, len(messages))
	for i, m := range messages {
		keys[i] = inbox.Message{Account: acc.Name, ID: m.ID, From: m.From, At: m.At, UnreadTime: m.UnreadTime, Text: m.Text}
		if number, err := senderNumber(m.From, s.cfg.Country); err == nil {
			keys[i].From = number.String()
		}
	}
	known, err := s.cfg.Inbox.Known(ctx, keys)
	if err != nil {
		return err
	}
	for i, m := range messages {
		// Two kinds of messages are taken even if they are known: messages without a time, and old
		// messages with an opt-out or opt-in word. The gateway may return such a message for longer
		// than Tuma remembers it. Each call of takeMessage extends the time for which Tuma remembers
		// the message.
		old := m.At.Before(oldest)
		if !m.At.IsZero() && (known[i] && !old || old && s.cfg.Words.Of(m.Text) == "") {
			continue
		}
		if err := takeMessage(ctx, &s.cfg, acc, m); err != nil {
			return err
		}
	}
	return nil
}
