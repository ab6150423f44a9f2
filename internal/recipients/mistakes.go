package recipients

import (
	"errors"
	"fmt"
	"strings"
)

// mistakes collects the mistakes in the rows of a list. Rows with the same problem count as one
// mistake.
type mistakes struct {
	found []*mistake
	// others is the number of rows with further problems, which are not in found.
	others int
	list   *List
}

// mistake is a problem, and the rows that have it.
type mistake struct {
	problem string
	count   int
	lines   []int // of the first rows
}

const (
	// maxMistakes is the maximum number of different problems in one error.
	maxMistakes = 10
	// maxPlaces is the maximum number of lines that an error names for one problem.
	maxPlaces = 3
)

// add adds the mistake err of the row on the given line. It returns err, to end the reading, if err is
// not an *Error.
func (m *mistakes) add(err error, l *List, line int) error {
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	m.list = l
	for _, x := range m.found {
		if x.problem == wrong.Problem {
			if x.count++; len(x.lines) < maxPlaces {
				x.lines = append(x.lines, line)
			}
			return nil
		}
	}
	if len(m.found) == maxMistakes {
		m.others++
		return nil
	}
	m.found = append(m.found, &mistake{problem: wrong.Problem, count: 1, lines: []int{line}})
	return nil
}

// with returns an *Error of all mistakes together with err, the error that ended the reading or nil. It
// returns err if there are no mistakes.
func (m *mistakes) with(err error) error {
	if len(m.found) == 0 {
		return err
	}
	var all []*Error
	for _, x := range m.found {
		all = append(all, x.asError(m.list))
	}
	if m.others > 0 {
		all = append(all, &Error{Where: m.list.o.Name + " ", Problem: fmt.Sprintf("has further mistakes in %d rows", m.others)})
	}
	if err != nil {
		last, ok := errors.AsType[*Error](err)
		if !ok {
			return errors.Join(all[0].join(all[1:]), err)
		}
		all = append(all, last)
	}
	return all[0].join(all[1:])
}

func (e *Error) join(more []*Error) *Error {
	return &Error{Where: e.Where, Problem: e.Problem, more: more}
}

func (x *mistake) asError(l *List) *Error {
	if x.count == 1 {
		return &Error{Where: l.WhereLine(x.lines[0]) + ": ", Problem: x.problem}
	}
	places := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(x.lines)), ", "), "[]")
	if x.count > len(x.lines) {
		places = "first " + places
	}
	return &Error{Where: fmt.Sprintf("%s: %d rows, %s: ", l.WhereFile(), x.count, places), Problem: x.problem}
}
