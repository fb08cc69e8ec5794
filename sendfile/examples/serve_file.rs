//! Serves one file by `sendfile` and by reads, to compare by hand:
//!
//! ```text
//! cargo run --release -p sendfile --example serve_file -- FILE [ADDRESS]
//! wrk -t2 -c64 http://127.0.0.1:8080/sendfile
//! wrk -t2 -c64 http://127.0.0.1:8080/read
//! ```

use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use sendfile::{FileBody, Outlet, Wire};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name the file to serve")?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let file = Arc::new(File::open(&path)?);
    let listener = TcpListener::bind(&address).await?;
    println!("http://{address}/sendfile and http://{address}/read serve {path}");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let file = Arc::clone(&file);
        tokio::spawn(async move {
            let (wire, outlet) = Wire::plain(stream, Duration::from_secs(60));
            let service = service_fn(move |request| {
                let response = respond(&request, &outlet, Arc::clone(&file));
                async { Ok::<_, Infallible>(response) }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            server
                .http1()
                .timer(TokioTimer::new())
                .max_buf_size(64 * 1024);
            if let Err(error) = server.serve_connection(wire, service).await {
                eprintln!("{error}");
            }
        });
    }
}

fn respond(request: &Request<Incoming>, outlet: &Outlet, file: Arc<File>) -> Response<FileBody> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    Response::new(match request.uri().path() {
        "/read" => Outlet::default().file(file, 0..length),
        _ => outlet.file(file, 0..length),
    })
}
