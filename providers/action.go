package providers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Action is something that can be done at one gateway only: its administration.
type Action struct {
	// Name is the vendor's own name for it.
	Name string
	// Does says in a few words what it does.
	Does string
	// Needs and Takes name the parameters that must and those that may be given.
	Needs, Takes []string
	// Confirm says what somebody has to confirm before it is done, as the end of a
	// sentence about it ("deletes all contacts, for good"); empty if nothing. Programs
	// ask.
	Confirm string
	// Do does it, once, with a provider of the kind it belongs to and parameters
	// that have passed Check. The table is what there is to show, perhaps nothing.
	// Errors are *Error.
	Do func(ctx context.Context, p Provider, params map[string]string) (Table, error)
}

// Check says what is wrong with an action's parameters: one that is missing, empty
// or unknown. The error never repeats a value.
func (a Action) Check(params map[string]string) error {
	for _, name := range a.Needs {
		if params[name] == "" {
			return fmt.Errorf("%s needs %s=…", a.Name, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.Contains(a.Needs, name) && !slices.Contains(a.Takes, name) {
			known := slices.Concat(a.Needs, a.Takes)
			if len(known) == 0 {
				return fmt.Errorf("%s takes no parameters", a.Name)
			}
			return fmt.Errorf("%s does not take %q; it takes %s", a.Name, name, strings.Join(known, ", "))
		}
	}
	return nil
}
