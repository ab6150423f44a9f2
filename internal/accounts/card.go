package accounts

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Publish publishes the card of one account, and records that the worker serves the account now.
// It publishes no settings, and passes 0 as the start number of the worker (see PublishAll).
func (s *Store) Publish(ctx context.Context, worker string, c campaign.Card) error {
	_, _, err := s.publishCards(ctx, worker, 0, []Offer{{Card: c}})
	return err
}

// publishCards publishes the cards of a worker. It returns the cards in force, and whether this
// call has changed one of these cards.
func (s *Store) publishCards(ctx context.Context, worker string, start int64, offers []Offer) (out InForce, changed bool, err error) {
	out.Cards = map[string]CardInForce{}
	var names []any
	for _, o := range offers {
		in, did, err := s.publishCard(ctx, worker, start, o)
		if err != nil {
			return out, false, fmt.Errorf("publish account %s: %w", o.Card.Name, err)
		}
		out.Cards[o.Card.Name], changed = in, changed || did
		names = append(names, o.Card.Name)
	}
	if len(names) == 0 {
		return out, changed, nil
	}
	// Readers find an account only after this write. So all accounts become visible at the same moment.
	if err := s.rdb.SAdd(ctx, indexKey, names...).Err(); err != nil {
		return out, false, fmt.Errorf("publish accounts: %w", err)
	}
	return out, changed, s.forgetWorkers(ctx, offers)
}

func (s *Store) publishCard(ctx context.Context, worker string, start int64, o Offer) (in CardInForce, changed bool, err error) {
	card, err := json.Marshal(o.Card)
	if err != nil {
		return in, false, err
	}
	own, err := json.Marshal(Limits{Rate: o.Card.Rate, Burst: o.Card.Burst, Unit: o.Card.Unit})
	if err != nil {
		return in, false, err
	}
	answer, err := s.scripts.Run(ctx, cardScript, []string{Key(o.Card.Name)}, script.Args(cardArgs{Worker: worker, Start: strconv.FormatInt(start, 10),
		Card: card, Limit: o.Limit, Slots: o.Card.Concurrency, Own: own})...)
	if err != nil {
		return in, false, err
	}
	if len(answer) < 5 {
		return in, false, script.ErrAnswer
	}
	if err := json.Unmarshal([]byte(answer[0]), &in.Card); err != nil {
		return in, false, fmt.Errorf("card: %w", err)
	}
	in.By, in.Since = answer[2], script.Milli(answer[3])
	return in, answer[4] == "1", nil
}

// cardArgs are the arguments of card.lua.
type cardArgs struct {
	Worker, Start string
	Card          []byte
	Limit         string
	Slots         int
	Own           []byte
}
