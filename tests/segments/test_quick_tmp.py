import time
from datetime import timedelta
from sqlalchemy import text, insert, event as ev, Engine
from service.db.session import unit_of_work
from service.core.ids import derived_key,new_key
from service.segments import evaluation
from service.identity.models import Identity
from service.profiles.models import *
from tests.segments import worlds
from tests.segments.worlds import NOW, START
N=10000
def test_b(sqlite_store, scope, store=None):
    store=sqlite_store
    keys=[derived_key("x",str(i)) for i in range(N)]
    with unit_of_work(store) as s:
        s.execute(insert(Identity), [dict(sandbox_id=1,id=k,namespace="CRMID",value=str(k),graph_id=k,profile_id=k,had_login=False,created_at=START) for k in keys])
        s.execute(insert(Profile), [dict(sandbox_id=1,id=k,attributes={"city":"c%d"%(i%50),"age":i%90},is_test=False,created_at=START,updated_at=START) for i,k in enumerate(keys)])
        s.execute(insert(ExperienceEvent), [dict(sandbox_id=1,id=new_key(),identity_id=k,source_id=k,dataset_id=k,event_id=str(i),event_type="t%d"%(i%10),at=NOW-timedelta(hours=i%40),received_at=START,xdm={"a":i}) for k in keys for i in range(5)])
        segs=[worlds.add_segment(s,scope,r,"batch") for n in range(5) for r in (f'city = "c{n}"', f'age > {n*10} and CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "t{n}") WHEN(<= {n+1} days before now)])')]
    tot={}
    def before(c,cur,st,p,ctx,m): ctx._t=time.perf_counter()
    def after_(c,cur,st,p,ctx,m):
        k=" ".join(st.split())[:60]; tot[k]=tot.get(k,0)+time.perf_counter()-ctx._t
    ev.listen(store.engine,"before_cursor_execute",before); ev.listen(store.engine,"after_cursor_execute",after_)
    for run in range(2):
        after=None; t=time.perf_counter(); changes=0; longest=0; steps=0; tot.clear()
        while True:
            t1=time.perf_counter()
            with unit_of_work(store) as s:
                st=evaluation.evaluate_batch(s,scope,segs,now=NOW+timedelta(hours=run),after=after)
            longest=max(longest,time.perf_counter()-t1); steps+=1
            changes+=len(st.changes); after=st.next_key
            if after is None: break
        print(store.engine.dialect.name, "run",run,"steps",steps,"changes",changes,"s",round(time.perf_counter()-t,2),"longest",round(longest,2))
        for k,v in sorted(tot.items(), key=lambda x:-x[1]): print("   ",round(v,2),k)
    for kind in ("changes_between","changes"):
        from service.segments.programs import program_of, segment_values
        from uuid import UUID
        texts=tuple(r for n in range(5) for r in (f'city = "c{n}"', f'age > {n*10} and CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "t{n}") WHEN(<= {n+1} days before now)])'))
        p=program_of("sqlite",texts)
        vals={**p.values(NOW),**segment_values(segs),"sandbox_id":1,"after":UUID(int=0),"through":sorted(keys)[2000],"ids":p.keys_value(sorted(keys)[:2000])}
        with store.opened() as s:
            conn=s.connection()
            def hook(conn, cur, statement, params, ctx, many):
                return "EXPLAIN QUERY PLAN "+statement, params
            ev.listen(conn,"before_cursor_execute",hook,retval=True)
            print("\n".join(str(x) for x in conn.execute(getattr(p,kind),vals).cursor.fetchall()))
            ev.remove(conn,"before_cursor_execute",hook)
            t=time.perf_counter(); conn.execute(getattr(p,kind),vals).fetchall(); print(kind,time.perf_counter()-t)
