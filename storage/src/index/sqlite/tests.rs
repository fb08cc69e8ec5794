mod damage;
mod file;
mod memory;
mod plans;
