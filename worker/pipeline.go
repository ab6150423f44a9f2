package worker

import (
	"iter"
	"sync"
)

// ahead goes through a sequence in a goroutine of its own, so many steps ahead of who
// takes them at most. It has ended when the sequence returned has; a panic in it is one of
// the caller's.
func prefetch[T any](steps int, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	type step struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		out, stop := make(chan step, steps), make(chan struct{})
		var panicked any
		var running sync.WaitGroup
		running.Go(func() {
			defer close(out)
			defer func() { panicked = recover() }()
			for value, err := range seq {
				select {
				case out <- step{value, err}:
				case <-stop:
					return
				}
			}
		})
		defer running.Wait()
		defer close(stop)
		for s := range out {
			if !yield(s.value, s.err) {
				return
			}
		}
		if panicked != nil {
			panic(panicked)
		}
	}
}

// abreast does something with each of a sequence, with so many at once, and yields what
// came of them in their order. It does nothing any more when the sequence returned has
// ended; a panic in it is one of the caller's.
func parallelMap[T, U any](most int, seq iter.Seq2[T, error], do func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		var begun []*future[U]
		defer func() {
			for _, b := range begun {
				<-b.done // nobody wants it
			}
		}()
		first := func() bool {
			b := begun[0]
			begun = begun[1:]
			return yield(b.wait())
		}
		for value, err := range seq {
			begun = append(begun, startFuture(func() (U, error) { return do(value), err }))
			if len(begun) == most && !first() {
				return
			}
		}
		for len(begun) > 0 {
			if !first() {
				return
			}
		}
	}
}

// behind does something in a goroutine of its own; wait waits for it.
type future[T any] struct {
	done     chan struct{}
	value    T
	err      error
	panicked any
}

func startFuture[T any](do func() (T, error)) *future[T] {
	b := &future[T]{done: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer func() { b.panicked = recover() }()
		b.value, b.err = do()
	}()
	return b
}

// wait returns what came of it, any number of times; of nothing it is nothing.
func (b *future[T]) wait() (value T, err error) {
	if b == nil {
		return value, nil
	}
	<-b.done
	if b.panicked != nil {
		panic(b.panicked)
	}
	return b.value, b.err
}
