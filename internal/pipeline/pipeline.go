// Package pipeline runs the steps of a sequence before their consumer needs the results, or runs
// several steps at once. It keeps the order of the results.
package pipeline

import (
	"iter"
	"sync"
)

// Prefetch runs the sequence seq in a separate goroutine. The parameter "steps" is how many
// values the goroutine may prepare before the consumer needs them. When the returned sequence
// ends, the goroutine has ended. A panic in seq is raised in the consumer.
func Prefetch[T any](steps int, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
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

// ParallelMap calls the function "do" with each value of the sequence seq, and yields the results
// in order. The parameter "most" is the maximum number of calls of do that run at once. When the
// returned sequence ends, no call is running. A panic in do is raised in the consumer.
func ParallelMap[T, U any](most int, seq iter.Seq2[T, error], do func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		var begun []*Future[U]
		defer func() {
			for _, b := range begun {
				<-b.done // this waits for the end of the call, whose result is not needed
			}
		}()
		first := func() bool {
			b := begun[0]
			begun = begun[1:]
			return yield(b.Wait())
		}
		for value, err := range seq {
			begun = append(begun, Start(func() (U, error) { return do(value), err }))
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

// Future is the result of a function that runs in a separate goroutine.
type Future[T any] struct {
	done     chan struct{}
	value    T
	err      error
	panicked any
}

// Start calls the function "do" in a separate goroutine. It returns a Future for the result of
// this function.
func Start[T any](do func() (T, error)) *Future[T] {
	b := &Future[T]{done: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer func() { b.panicked = recover() }()
		b.value, b.err = do()
	}()
	return b
}

// Wait blocks until the function is done and returns its result. It may be called repeatedly. If b
// is nil, it returns zero values. A panic in the function is raised in the caller of Wait.
func (b *Future[T]) Wait() (value T, err error) {
	if b == nil {
		return value, nil
	}
	<-b.done
	if b.panicked != nil {
		panic(b.panicked)
	}
	return b.value, b.err
}
