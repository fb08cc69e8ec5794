use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const QUESTION: Fingerprint = [1; 32];

#[tokio::test]
async fn a_thousand_who_want_to_know_ask_once() {
    let answers = Answers::new();
    let (asked, go) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let (answers, asked, go) = (Arc::clone(&answers), Arc::clone(&asked), Arc::clone(&go));
            tokio::spawn(async move {
                let ask = || async move {
                    asked.fetch_add(1, Ordering::SeqCst);
                    go.notified().await;
                    Ok(("yes", SECOND))
                };
                answers.get(QUESTION, ask).await
            })
        })
        .collect();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    for waits in waiting {
        assert_eq!(waits.await.unwrap(), Ok("yes"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(answers.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_holds_from_when_it_was_asked_for() {
    let answers = Answers::new();
    let slow = || async {
        tokio::time::sleep(3 * SECOND).await;
        Ok((1, 5 * SECOND))
    };
    assert_eq!(answers.get(QUESTION, slow).await, Ok(1));
    tokio::time::advance(SECOND).await;
    assert_eq!(answers.known(&QUESTION), Some(1));
    tokio::time::advance(SECOND).await;
    assert_eq!(answers.known(&QUESTION), None);
    let again = || async { Ok((2, SECOND)) };
    assert_eq!(answers.get(QUESTION, again).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_goes_to_all_who_wait_and_is_forgotten() {
    let answers = Answers::<u8>::new();
    let fail = || async {
        tokio::time::sleep(SECOND).await;
        Err(BUSY)
    };
    let never = || async { unreachable!("it is being asked already") };
    let (first, second) = tokio::join!(
        answers.get(QUESTION, fail),
        answers.get(QUESTION, || -> BoxFuture<'static, _> { never().boxed() })
    );
    assert_eq!((first, second), (Err(BUSY), Err(BUSY)));
    assert_eq!(answers.known(&QUESTION), None);
    assert_eq!(
        answers.get(QUESTION, || async { Ok((7, SECOND)) }).await,
        Ok(7)
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_first_may_go_away() {
    let answers = Answers::new();
    let ask = || async {
        tokio::time::sleep(SECOND).await;
        Ok((1, 5 * SECOND))
    };
    let first = tokio::time::timeout(SECOND / 2, answers.get(QUESTION, ask));
    assert!(first.await.is_err());
    let second = answers.get(QUESTION, || async { Ok((2, SECOND)) }).await;
    assert_eq!(second, Ok(1));
}

#[tokio::test]
async fn an_asking_that_panics_leaves_nobody_waiting() {
    let answers = Answers::<u8>::new();
    let panics = || async { panic!("a defect") };
    assert_eq!(answers.get(QUESTION, panics).await, Err(BUSY));
    assert!(answers.lock().is_empty());
}

/// What was asked for before something was taken away may be answered by what was, and must not be remembered.
#[tokio::test]
async fn what_is_forgotten_while_it_is_asked_for_is_not_remembered() {
    let answers = Answers::new();
    let go = Arc::new(Notify::new());
    let ask = {
        let go = Arc::clone(&go);
        || async move {
            go.notified().await;
            Ok(("as it was", SECOND))
        }
    };
    let waiting = tokio::spawn({
        let answers = Arc::clone(&answers);
        async move { answers.get(QUESTION, ask).await }
    });
    tokio::task::yield_now().await;
    answers.forget(&QUESTION);
    let new = || async { Ok(("as it is", SECOND)) };
    assert_eq!(answers.get(QUESTION, new).await, Ok("as it is"));
    go.notify_one();
    assert_eq!(waiting.await.unwrap(), Ok("as it was"));
    assert_eq!(answers.known(&QUESTION), Some("as it is"));
    answers.forget(&QUESTION);
    assert_eq!(answers.known(&QUESTION), None);
}

/// What was asked for before a forgetting lands in its own time, and whoever asks after that waits for the newer asking.
#[tokio::test]
async fn an_older_flight_ends_without_the_one_in_its_place() {
    let answers = Answers::new();
    let asking = |answer| {
        let (answers, go) = (Arc::clone(&answers), Arc::new(Notify::new()));
        let landed = Arc::clone(&go);
        let ask = move || async move {
            landed.notified().await;
            Ok((answer, SECOND))
        };
        let waiting = tokio::spawn(async move { answers.get(QUESTION, ask).await });
        (waiting, go)
    };
    let (old, old_lands) = asking("as it was");
    tokio::task::yield_now().await;
    answers.forget(&QUESTION);
    let (new, new_lands) = asking("as it is");
    tokio::task::yield_now().await;
    old_lands.notify_one();
    assert_eq!(old.await.unwrap(), Ok("as it was"));
    let never = || -> BoxFuture<'static, _> { unreachable!("it is being asked already") };
    let also = tokio::spawn({
        let answers = Arc::clone(&answers);
        async move { answers.get(QUESTION, never).await }
    });
    tokio::task::yield_now().await;
    new_lands.notify_one();
    assert_eq!(new.await.unwrap(), Ok("as it is"));
    assert_eq!(also.await.unwrap(), Ok("as it is"));
    assert!(answers.lock().is_empty());
}
