package providers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Action is an administrative operation that only one gateway offers, such as editing stored
// contacts.
type Action struct {
	// Name is the vendor's name for the action.
	Name string
	// The field "Does" is a short description of the action, shown in help texts.
	Does string
	// The field "Needs" lists the required parameters. The field "Takes" lists the optional
	// parameters.
	Needs, Takes []string
	// Confirm describes the effect that the user must confirm before the action. The text
	// continues a sentence that begins with the action's name: "deletes all contacts permanently".
	// It is empty if no confirmation is needed. The calling program must ask for the confirmation,
	// because Do does not ask.
	Confirm string
	// The field "Reads" is true if the action changes nothing at the gateway. A caller may repeat
	// such an action after an error.
	Reads bool
	// Failed returns an error if the table that Do returned shows that a part of the action failed. The program
	// prints the table first. If Failed is nil, the table never shows failures.
	Failed func(Table) error
	// Do performs the action once. The provider p must be of the Kind that lists the action. The map
	// "params" must have passed Check. The returned table holds the data to show and may be empty.
	// Errors are *Error.
	Do func(ctx context.Context, p Provider, params map[string]string) (Table, error)
}

// Check returns an error if a required parameter is missing or empty, or if a parameter is unknown.
// The error never contains a parameter's value.
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
