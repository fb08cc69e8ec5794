mod damage;
mod file;
mod memory;
mod model;
mod plans;
