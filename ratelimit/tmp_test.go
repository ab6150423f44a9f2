package ratelimit
import ("testing";"math/rand/v2";"time";"context";"slices")
func TestTmp(t *testing.T){
 open:=openLocal(t); worst:=0
 for seed:=range uint64(60000){
  rn:=rand.New(rand.NewPCG(seed,9))
  R:=1+rn.IntN(300); B:=1+rn.IntN(40); L:=1+rn.IntN(1+rn.IntN(80))
  a:=open(Rate(R),B); var used,pend []turn
  mx:=time.Duration(rn.IntN(2000))*ms
  gap:=1+rn.IntN(2_000_000*L/R)
  for range 200 {
   a.clock.advance(time.Duration(rn.IntN(gap))*time.Microsecond)
   n:=1+rn.IntN(L)
   l:=[]Limiter{a.bulk,a.bulk,a.otp}[rn.IntN(3)]
   w,ok,_:=l.Reserve(context.Background(),n,mx)
   if ok {pend=append(pend,turn{a.clock.now().Add(w),n})}
   for len(pend)>6 { i:=rn.IntN(len(pend)); p:=pend[i]; pend=slices.Delete(pend,i,i+1)
     if rn.IntN(3)>0 {used=append(used,p)} else {a.bulk.Return(context.Background(),p.n,p.at.Sub(a.clock.now()))}}
   if rn.IntN(50)==0 {a.bulk.Cooldown(context.Background(),time.Duration(rn.IntN(700))*ms)}
  }
  if err:=checkAnySecond(append(used,pend...),a.rate,a.burst);err!=nil { worst++; if worst<10 {t.Errorf("seed %d R %d B %d L %d: %v",seed,R,B,L,err)}}
 }
 t.Log(worst)
}
