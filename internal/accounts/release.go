package accounts

import (
	"context"
	"fmt"
)

// Release lifts any hold. It reports whether the account was held.
func (s *Store) Release(ctx context.Context, name string) (bool, error) {
	if _, err := s.Account(ctx, name); err != nil {
		return false, err
	}
	out, err := s.scripts.Run(ctx, releaseScript, []string{Key(name)})
	if err != nil {
		return false, fmt.Errorf("release account %s: %w", name, err)
	}
	return out[0] == "released", nil
}
