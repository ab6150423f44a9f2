package recipients

import (
	"errors"
	"fmt"
	"strings"
)

// The type "mistakes" collects the mistakes in the rows of a list. Rows with the same problem count
// as one mistake.
type mistakes struct {
	found []*mistake
	// The field "others" is the number of rows with further problems, which are not in the list "found".
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

// The method "add" adds the mistakes of the row on the given line. The parameter "err" is usually an *Error, which
// may stand for several mistakes. The method returns any other error, to end the reading.
func (m *mistakes) add(err error, l *List, line int) error {
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	m.list = l
	all := m.count(wrong.Problem, line)
	for _, further := range wrong.more {
		all = m.count(further.Problem, line) && all
	}
	if !all {
		m.others++
	}
	return nil
}

// The method "count" adds one row to the mistake with the given problem. It returns false if the problem is new and
// the list "found" is full.
func (m *mistakes) count(problem string, line int) bool {
	for _, x := range m.found {
		if x.problem == problem {
			if x.count++; len(x.lines) < maxPlaces {
				x.lines = append(x.lines, line)
			}
			return true
		}
	}
	if len(m.found) == maxMistakes {
		return false
	}
	m.found = append(m.found, &mistake{problem: problem, count: 1, lines: []int{line}})
	return true
}

// rowMistakes collects the mistakes of one row.
type rowMistakes []*Error

// The method "add" adds a mistake. If err is not an *Error, the method returns err, and the reading ends.
func (m *rowMistakes) add(err error) error {
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	*m = append(*m, wrong)
	return nil
}

// The method "err" returns one *Error for all mistakes of the row, or nil if the row has no mistakes.
func (m rowMistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	return m[0].join(m[1:])
}

// The method "with" returns one *Error for all mistakes in m and for err. The parameter "err" is the error that
// ended the reading, or nil. If m has no mistakes, the result is err.
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
