package accounts

import (
	"context"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

// Hold holds an account by hand until Release is called. holder is the name of the person or
// program. Hold returns ErrNoAccount for an unknown account.
func (s *Store) Hold(ctx context.Context, name, reason, holder string) error {
	if _, err := s.Account(ctx, name); err != nil {
		return err
	}
	if _, err := s.scripts.Run(ctx, holdScript, []string{Key(name)}, script.Args(holdArgs{Reason: reason, By: holder})...); err != nil {
		return fmt.Errorf("hold account %s: %w", name, err)
	}
	return nil
}

// holdArgs are the arguments of hold.lua.
type holdArgs struct{ Reason, By string }
